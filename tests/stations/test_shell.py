"""`mes station …` where something is amiss: it says what, and how to mend it."""

import os
import subprocess
import sys
from pathlib import Path

from mes.console.verdicts import rest_access
from mes.embedded.broker import Broker
from mes.local import PORT_RECORD, TOKEN_FILE
from mes.settings import Settings
from tests import parts
from tests.formats.test_cable_report import report
from tests.stage import Stage
from tests.stations.test_ocptv_agent import SCHEMA, line
from tests.stations.test_push import Push, openhtf, push, written

__all__ = ["push"]
HERE = Path(__file__).parents[2]


def follow(tmp_path: Path, url: str, program: str, *options: str, spools: str | None = None) -> tuple[int, str]:
    """What `mes station follow` ends with, and what it says."""
    where = ["--url", url, "--spools", spools or str(tmp_path / "spools"), "--wait", "2"]
    about = ["--station", "ft-1", "--unit", "T1", "--step", "test", *options]
    argv = [sys.executable, "-m", "mes", "station", "follow", *where, *about, "--", sys.executable, "-uc", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": str(HERE)})
    told = " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in told
    return done.returncode, told


def test_a_program_that_prints_nothing_of_a_run(tmp_path: Path) -> None:
    away = f"mqtt://127.0.0.1:{parts.any_port()}"
    status, told = follow(tmp_path, away, "print('hello')")
    assert status == 0
    assert "mes: no OCP Test & Validation line came; nothing is on the record" in told
    status, told = follow(tmp_path, away, "import sys; sys.exit(3)", "--ask", "--go-on")
    assert status == 3
    assert "mes: no OCP Test & Validation line came; of the run only its begin is on the record" in told
    status, told = follow(tmp_path, away, f"print({SCHEMA!r}); print({line(1)!r})")
    assert "line came" not in told


async def test_a_folder_of_spools_that_can_not_be_made(push: Push, broker: Broker, tmp_path: Path) -> None:
    file = written(tmp_path / "record.json", openhtf())
    done = await push(file, "--spools", "/proc/zz")
    told = done.text.replace("\n", " ")
    assert (done.status, "The folder /proc/zz/station-ft-1 can't be made" in told) == (1, True), told
    assert "name another with --spools" in told
    status, told = follow(tmp_path, broker.url, "print('hello')", spools="/proc/zz")
    assert (status, "can't be made" in told) == (1, True), told


async def test_what_was_left_is_told_with_its_reasons(floor: Stage, push: Push, broker: Broker, tmp_path: Path) -> None:
    good = written(tmp_path / "record.json", openhtf())
    unknown = written(tmp_path / "unknown.json", openhtf(dut_id="NOBODY"))
    await broker.stop()
    assert (await push(good, unknown, "--wait", "0.2")).status == 1
    await broker.start()
    done = await push(step=None)
    assert done.status == 1
    assert f"{tmp_path / 'spools' / 'station-ft-1' / 'push-0.spool'}: 1 applied, 1 pending" in done.text
    assert "NOBODY" in done.text


async def test_a_file_of_another_unit_is_refused(floor: Stage, push: Push, tmp_path: Path) -> None:
    cable = written(tmp_path / "report.csv", report())
    record = written(tmp_path / "record.json", openhtf())
    for file, own in ((cable, "CB-7"), (record, "T1")):
        done = await push(file, "--unit", "C4-0009")
        told = " ".join(done.text.split())
        assert done.status == 2, told
        assert f"{file} tells of {own}, --unit says C4-0009; leave --unit out, or say --relabel if C4-0009" in told
    assert not (tmp_path / "spools").exists(), "nothing was sent"
    assert (await push(record, "--unit", "T1")).status == 0
    nameless = written(tmp_path / "nameless.json", openhtf(dut_id="UNKNOWN"))
    labelled = written(tmp_path / "labelled.json", openhtf(dut_id="left one"))
    assert "tells of" not in (await push(nameless, labelled, "--unit", "T1")).text
    carrier = written(tmp_path / "carrier.json", openhtf(dut_id="CARRIER-3"))
    assert (await push(carrier, "--unit", "T1", "--relabel")).status == 0


async def test_files_that_can_not_be_read_are_named(push: Push, tmp_path: Path) -> None:
    file = written(tmp_path / "record.json", openhtf())
    (tmp_path / "empty").touch()
    safe = ["--url", "mqtts://127.0.0.1:1"]
    for option, named, told in (
        ("--ca", "nope.pem", "can't be read: No such file or directory"),
        ("--ca", "empty", "holds no certificates (PEM)"),
        ("--password-file", "none", "can't be read: No such file or directory"),
        ("--password-file", "empty", "has no text in its first line: the password"),
    ):
        done = await push(file, option, tmp_path / named, *safe)
        assert (done.status, f"{tmp_path / named} {told}" in " ".join(done.text.split())) == (2, True), done.text


def test_the_port_of_rest_is_remembered(tmp_path: Path) -> None:
    using = Settings(data_dir=tmp_path)
    (tmp_path / TOKEN_FILE).write_text("secret\n")
    assert rest_access(None, None, using) == ("http://127.0.0.1:8460", "secret")
    (tmp_path / PORT_RECORD).write_text("18471")
    assert rest_access(None, None, using) == ("http://127.0.0.1:18471", "secret")
    assert rest_access("http://mes:1/", None, using) == ("http://mes:1", "secret")
