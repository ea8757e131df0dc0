"""`mes station push`: testers' files from a shell, onto a record that runs."""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import pytest
from typer.testing import CliRunner

from mes.__main__ import app
from mes.app import create_app
from mes.commands.access import add_token
from mes.embedded.broker import Broker
from mes.settings import Settings
from stations.files import UnknownFileError, read_file, recognise
from stations.spool import Spool, default_path
from tests.formats.test_cable_report import report
from tests.formats.test_openhtf import measured, phase, record
from tests.stage import Stage
from tests.stations.test_ocptv_agent import SCHEMA, line, runs
from tests.web.browser import served


class Said(NamedTuple):
    """What the command said and ended with."""

    status: int
    text: str


Push = Callable[..., Any]


@pytest.fixture
def push(broker: Broker, tmp_path: Path) -> Push:
    """The command, with its spools in the test's folder."""
    url = broker.url  # also while it is away

    async def pushed(*arguments: str | Path, step: str | None = "test") -> Said:
        where = ["--station", "ft-1", "--url", url, "--spools", str(tmp_path / "spools")]
        named = ["--step", step] if step else []
        argv = ["station", "push", *where, *named, *map(str, arguments)]
        done = await asyncio.to_thread(CliRunner().invoke, app, argv)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Said(done.exit_code, done.output)

    return pushed


def written(path: Path, content: str | dict[str, Any]) -> Path:
    """A file, an hour old."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    return path


def openhtf(**more: Any) -> dict[str, Any]:
    """A record of T1, an hour ago."""
    power = phase(power=measured(measured_value=150.0, units={"code": "WTT", "suffix": "W"}))
    return record(power, start_time_millis=1_750_000_000_000, end_time_millis=1_750_000_060_000, **more)


async def test_a_record_is_pushed_and_counts_once_however_often(floor: Stage, push: Push, tmp_path: Path) -> None:
    file = written(tmp_path / "record.json", openhtf())
    first = await push(file)
    assert (first.status, first.text.splitlines()[0]) == (0, f"{file}: applied")
    assert (await push(file)).status == 0
    shutil.rmtree(tmp_path / "spools")
    again = await push(file)  # by another machine
    assert (again.status, "duplicate" in again.text) == (0, True)
    (run,) = await runs(floor)
    assert [(one.name, one.value) for one in run.measurements] == [("power", 150.0)]


async def test_each_kind_of_file_is_recognised(floor: Stage, push: Push, tmp_path: Path) -> None:
    cable = written(tmp_path / "report.csv", report().replace("CB-7", "T1"))
    soak = written(tmp_path / "soak.txt", f"banner\n{SCHEMA}\n{line(1)}\n")
    done = await push(cable, soak, "--unit", "T1")
    assert done.status == 0, done.text
    soaked, wired = await runs(floor)
    assert soaked.recording is not None
    assert (soaked.recording.lines, wired.program) == (2, "four wires")


async def test_what_a_bmc_says_is_in_a_unit_is_an_inventory(floor: Stage, push: Push, tmp_path: Path) -> None:
    gpu = {"@odata.type": "#Processor.v1_20_0.Processor", "PartNumber": "GPU", "SerialNumber": "G1"}
    file = written(tmp_path / "bmc.json", {"/redfish/v1/Systems/1/Processors/GPU_0": gpu})
    done = await push(file, "--unit", "T1", step=None)
    assert (done.status, done.text.splitlines()[0]) == (0, f"{file}: applied")
    assert "GPU" in done.text  # the one that did not report itself
    assert "names no unit" in (await push(file, step=None)).text


async def test_pending_and_rejected_are_not_on_the_record(floor: Stage, push: Push, tmp_path: Path) -> None:
    unknown = written(tmp_path / "unknown.json", openhtf(dut_id="NOBODY"))
    broken = written(tmp_path / "broken.json", openhtf(outcome="MAYBE"))
    done = await push(unknown, broken)
    assert done.status == 1
    assert f"{unknown}: pending" in done.text
    assert "NOBODY" in done.text
    assert f"{broken}: rejected" in done.text


async def test_the_verdict_is_told_and_is_not_the_exit_status(floor: Stage, push: Push, tmp_path: Path) -> None:
    async with floor.database.transaction() as connection:
        token = await add_token(connection, "shell", "viewer", at=datetime.now(UTC))
    (tmp_path / "token").write_text(token + "\n")
    rest = create_app(floor.database, Settings())
    async with served(rest) as address:
        reading = ["--rest", address, "--token-file", tmp_path / "token"]
        power = phase(power=measured(measured_value=250.0, units={"code": "WTT", "suffix": "W"}))
        times = {"start_time_millis": 1_750_000_100_000, "end_time_millis": 1_750_000_160_000}
        bad = written(tmp_path / "bad.json", record(power, **times))
        good = written(tmp_path / "good.json", openhtf())
        done = await push(bad, good, *reading)
        assert done.status == 0, done.text
        lines = done.text.splitlines()
        assert "  verdict of test: fail (claimed pass)" in lines, done.text
        assert "    power is 250 W; it must be from 100 to 200 W." in lines, done.text
        assert lines[-1] == "  verdict of test: pass"
        soak = written(tmp_path / "soak.txt", f"{SCHEMA}\n{line(1)}\n")
        assert "verdict of" not in (await push(soak, "--unit", "T1", *reading)).text, "it has no end yet"
    (tmp_path / "token").write_text("wrong")
    async with served(rest) as address:
        again = await push(bad, "--rest", address, "--token-file", tmp_path / "token")
        assert (again.status, "The verdict can't be read" in again.text) == (0, True)
    away = await push(bad, "--rest", "http://127.0.0.1:1", "--token-file", tmp_path / "token")
    assert (away.status, "The verdict can't be read" in away.text) == (0, True)
    lost = await push(bad, "--token-file", tmp_path / "none")
    assert (lost.status, "the token for REST can't be read" in lost.text) == (2, True)


async def test_what_no_receipt_came_for_is_sent_by_the_next_call(
    floor: Stage, push: Push, broker: Broker, tmp_path: Path
) -> None:
    file = written(tmp_path / "record.json", openhtf())
    await broker.stop()
    done = await push(file, "--wait", "0.2")
    assert (done.status, "no receipt" in done.text) == (1, True)
    await broker.start()
    left = tmp_path / "spools" / "station-ft-1" / "push-0.spool"
    assert (await push(step=None)).text.splitlines()[0] == f"{left}: applied"
    assert await push(step=None) == Said(0, "nothing was left\n")


async def test_two_at_once_do_not_hinder_each_other(floor: Stage, push: Push, tmp_path: Path) -> None:
    held = Spool(default_path("ft-1", "push-0", tmp_path / "spools"), "ft-1")
    done = await push(written(tmp_path / "record.json", openhtf()))
    assert done.status == 0
    held.close()


async def test_an_attachment_that_is_too_large_stays_behind(floor: Stage, push: Push, tmp_path: Path) -> None:
    picture = {"mimetype": "image/png", "sha1": "0" * 40, "data": base64.b64encode(b"x" * 1_500_000).decode()}
    power = phase(power=measured(measured_value=150.0)) | {"attachments": {"front.png": picture}}
    file = written(tmp_path / "record.json", openhtf(phases=[power]))
    done = await push(file)
    assert "1048576 are allowed. It is sent without what is attached." in done.text
    assert done.status == 0


async def test_wrong_use_is_told_and_ends_with_2(push: Push, tmp_path: Path) -> None:
    text = written(tmp_path / "notes.txt", "it smelled of smoke")
    soak = written(tmp_path / "soak.txt", SCHEMA)
    for arguments, told in (
        ([tmp_path / "none.json"], "can't be read"),
        ([text], "is no OpenHTF record"),
        ([text, "--form", "openhtf"], "is no JSON"),
        ([soak], "names no unit: give --unit"),
        ([soak, "--unit", "T1", "--password-file", tmp_path / "none"], "can't be read"),
        ([soak, "--unit", "T1", "--url", "http://broker"], "mqtt://host:port"),
        ([soak, "--unit", "T1", "--station", "a b"], "station name"),
    ):
        done = await push(*arguments)
        assert (done.status, told in done.text.replace("\n", " ")) == (2, True), done
    assert (await push(soak, "--unit", "T1", step=None)).status == 2


async def test_a_copy_of_a_file_with_times_of_its_own_is_the_same_run(floor: Stage, push: Push, tmp_path: Path) -> None:
    end = json.dumps({"sequenceNumber": 1, "testRunArtifact": {"testRunEnd": {"status": "COMPLETE", "result": "PASS"}}})
    file = written(tmp_path / "soak.txt", f"{SCHEMA}\n{end}\n")
    assert (await push(file, "--unit", "T1")).status == 0
    copy = tmp_path / "copy.txt"
    copy.write_bytes(file.read_bytes())  # now
    assert (await push(copy, "--unit", "T1", "--operator", "m.rossi")).status == 0
    assert len(await runs(floor)) == 1


def test_lines_end_where_json_lets_them(tmp_path: Path) -> None:
    log = '{"sequenceNumber": 1, "log": "a\u2028b\x85c"}'
    file = tmp_path / "soak.txt"
    file.write_bytes(f"{SCHEMA}\r\n{log}\r\n".encode())
    (only,) = read_file(file, {"unit": "T1", "step": "test"})
    assert only.data["lines"] == [SCHEMA, log]
    assert recognise(log) == "ocptv"


def test_a_report_that_was_written_on_windows_keeps_its_units(tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_bytes(report().replace("Ohm", "µA").encode("cp1252"))
    (message,) = read_file(file, {"step": "cable-test"})
    assert "µA" in message.data["text"]
    assert "\ufffd" not in message.data["text"]


async def test_half_a_surrogate_pair_is_told_with_its_field(push: Push, tmp_path: Path) -> None:
    half = written(tmp_path / "half.json", json.dumps(openhtf()).replace('"power"', '"po\\ud800wer"'))
    good = written(tmp_path / "good.json", openhtf())
    done = await push(good, half)
    told = done.text.replace("\n", " ")
    assert (done.status, f"{half} can't be sent: phases[0].measurements" in told) == (2, True), told
    assert "half a surrogate pair" in told
    assert not (tmp_path / "spools").exists(), "nothing of it was sent"
    done = await push(good, "--operator", "caf\udce9")
    assert (done.status, "operator: a text can't hold half a surrogate pair" in done.text) == (2, True), done.text


async def test_certificates_for_an_address_that_does_not_encrypt_are_wrong_use(push: Push, tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", openhtf())
    done = await push(good, "--ca", certifi.where())
    assert (done.status, "write mqtts://" in done.text.replace("\n", " ")) == (2, True), done.text


def test_a_file_gives_the_same_messages_every_time(tmp_path: Path) -> None:
    text = "\n".join([SCHEMA, *(line(number) for number in range(1, 1200)), SCHEMA, line(1)])
    file = written(tmp_path / "soak.txt", text)
    about = {"unit": "T1", "step": "test"}
    once, again = read_file(file, about), read_file(file, about)
    assert once == again
    assert [len(one.data["lines"]) for one in once] == [500, 500, 200, 2]
    names = [one.data["run"] for one in once]
    assert names == [names[0]] * 3 + [f"{names[0]}.2"]
    assert len({one.id for one in once}) == 4
    assert {one.id for one in read_file(file, about | {"unit": "T2"})}.isdisjoint(one.id for one in once)
    with pytest.raises(UnknownFileError):
        read_file(tmp_path, about)
