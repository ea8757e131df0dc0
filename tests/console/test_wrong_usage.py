"""What a person gets wrong on the command line is told in words, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def mes(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit status and all that was written."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MES_")}
    done = subprocess.run(
        [sys.executable, "-m", "mes", *arguments],
        cwd=folder,
        env={**others, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("option", ["--port", "--mqtt-port"])
def test_a_port_that_is_none(tmp_path: Path, option: str) -> None:
    status, said = mes("demo", option, "99999", folder=tmp_path)
    assert status == 2
    assert "65535" in said
    assert "Traceback" not in said


def test_a_setting_that_can_not_be_used(tmp_path: Path) -> None:
    status, said = mes("settings", folder=tmp_path, MES_PORT="abc")
    assert status == 1
    assert said.startswith("mes: MES_PORT=abc: ")
    assert "Traceback" not in said


def test_the_doctor_makes_no_mes_where_there_is_none(tmp_path: Path) -> None:
    status, said = mes("doctor", folder=tmp_path)
    assert (status, "No MES is in this folder" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []
