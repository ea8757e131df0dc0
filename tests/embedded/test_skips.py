"""A skipped test says why; where every test must run, it is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SKIPS = {
    "in_test": "def test_one():\n    pytest.skip('no broker here')\n",
    "by_mark": "@pytest.mark.skipif(True, reason='no broker here')\ndef test_one():\n    pass\n",
    "in_fixture": "@pytest.fixture\ndef part():\n    pytest.skip('no broker here')\ndef test_one(part):\n    pass\n",
    "whole_file": "pytest.skip('no broker here', allow_module_level=True)\n",
}


def outcome(folder: Path, everything: bool, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests that skip themselves in every way there is, by the rules of this project's conftest."""
    for name, source in SKIPS.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{source}")
    environment = {name: value for name, value in os.environ.items() if name != "MES_TESTS_ALL"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(folder)]
    command += [
        "--rootdir",
        str(folder),
        "-c",
        str(ROOT / "pyproject.toml"),
        "--continue-on-collection-errors",
        *options,
    ]
    return subprocess.run(
        command,
        env=environment | ({"MES_TESTS_ALL": "1"} if everything else {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", ["0", "2"])
def test_skip_is_a_failure_where_every_test_must_run(tmp_path: Path, processes: str) -> None:
    strict = outcome(tmp_path, True, "-n", processes)
    assert strict.returncode != 0
    assert strict.stdout.count("MES_TESTS_ALL=1 allows no skipped test") >= len(SKIPS)
    assert "no broker here" in strict.stdout
    assert " passed" not in strict.stdout
    assert " skipped" not in strict.stdout.splitlines()[-1]


def test_skip_is_only_reported_otherwise(tmp_path: Path) -> None:
    lenient = outcome(tmp_path, False)
    assert f"{len(SKIPS)} skipped" in lenient.stdout
    assert " failed" not in lenient.stdout
