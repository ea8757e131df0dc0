"""A program's ocptv output, forwarded while it runs: the public `ocptv` package is the foreign producer."""

import asyncio
import functools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mes.commands.interruptions import Patience, interrupt_overdue
from mes.embedded.broker import Broker
from mes.queries.runs import RunView, newest_runs, run_view
from stations import ocptv_agent
from stations.ocptv_agent import About, Lines
from stations.spool import SpoolFullError
from stations.wording import TooLargeError
from tests.stage import Stage

ABOUT = About("T1", "test", "r1", operator="m.rossi")
SCHEMA = '{"schemaVersion": {"major": 2, "minor": 0}, "sequenceNumber": 0}'


def line(number: int, pad: str = "") -> str:
    return json.dumps({"sequenceNumber": number, "log": pad})


class Heard:
    """Takes what an agent forwards; refuses as its test wants."""

    def __init__(self, refuse: Callable[[dict[str, Any]], Exception | None] = lambda data: None) -> None:
        self.told: list[dict[str, Any]] = []
        self.refuse = refuse

    def forward(self, type_: str, data: dict[str, Any]) -> str:
        if error := self.refuse(data):
            raise error
        self.told.append(data)
        return f"m{len(self.told)}"

    @property
    def lines(self) -> list[list[str]]:
        return [one["lines"] for one in self.told]


def test_lines_are_sent_in_portions_and_talk_is_not() -> None:
    heard = Heard()
    lines = Lines(heard, ABOUT)
    for text in ("booting…", SCHEMA, "", f"[log] {line(1)}\n"):
        lines.add(text)
    lines.send()
    lines.send()
    assert heard.lines == [[SCHEMA, f"[log] {line(1)}"]]
    assert {name: value for name, value in heard.told[0].items() if name != "lines"} == {
        "unit": "T1",
        "step": "test",
        "run": "r1",
        "purpose": "production",
        "operator": "m.rossi",
    }
    for number in range(2, 1300):
        lines.add(line(number))
    lines.send()
    assert [len(some) for some in heard.lines[1:]] == [500, 500, 298]
    for number in range(3):
        lines.add(line(number, "x" * 200_000))
    assert len(heard.told) == 5  # many bytes are sent at once, too


def test_broken_lines_go_with_a_whole_one() -> None:
    heard = Heard()
    lines = Lines(heard, ABOUT)
    lines.add('{"broken before any')
    lines.send()
    assert heard.told == []
    lines.add(SCHEMA)
    lines.send()
    lines.add('{"cut off')
    lines.send()
    assert heard.lines == [[SCHEMA], [SCHEMA, '{"cut off']]


def test_a_programs_second_run_has_a_name_of_its_own() -> None:
    heard = Heard()
    lines = Lines(heard, ABOUT)
    for text in (SCHEMA, line(1), SCHEMA, line(1)):
        lines.add(text)
    lines.send()
    assert [(one["run"], len(one["lines"])) for one in heard.told] == [("r1", 2), ("r1.2", 2)]
    assert "another run" in heard.told[0]["broken_off"]


def test_how_a_program_ended_is_told_where_its_run_had_no_end() -> None:
    heard = Heard()
    lines = Lines(heard, ABOUT)
    lines.add("talk")
    lines.end("It crashed.")
    assert heard.told == []  # there was no run
    for text in (SCHEMA, line(1)):
        lines.add(text)
    lines.send()
    lines.end("It crashed.")
    assert (heard.told[1]["lines"], heard.told[1]["broken_off"]) == ([line(1)], "It crashed.")
    lines.add('{"cut off')
    lines.end("It crashed.")
    assert heard.lines[2] == [line(1), '{"cut off']
    lines.add(json.dumps({"sequenceNumber": 2, "testRunArtifact": {"testRunEnd": {}}}))
    lines.end("It ended well.")
    assert "broken_off" not in heard.told[3]


def too_large(most: int) -> Callable[[dict[str, Any]], Exception | None]:
    """Refuses messages that have more bytes."""
    return lambda data: TooLargeError("too large") if len(json.dumps(data)) > most else None


def test_what_is_too_large_is_halved_and_a_line_that_is_too_large_alone_keeps_its_place() -> None:
    heard = Heard(too_large(400))
    lines = Lines(heard, ABOUT)
    texts = [line(0), line(1), line(2, "x" * 600), line(3), line(4)]
    for text in texts:
        lines.add(text)
    lines.send()
    sent: list[Any] = [text for some in heard.lines for text in some]
    stands_in = sent.pop(2)
    assert sent == [text for text in texts if len(text) < 100]
    assert stands_in["sequenceNumber"] == 2
    assert stands_in["unreadable"]["problem"] == "it was too large to be sent"


def test_a_line_that_the_mes_would_not_read_is_not_sent_but_keeps_its_place() -> None:
    heard = Heard()
    lines = Lines(heard, ABOUT)
    long = "x" * 300_000
    for text in (SCHEMA, line(1, long), f"{{{long}", line(2)):
        lines.add(text)
    lines.end("It crashed.")
    first, stands_in, last = heard.lines[0]
    assert (first, last) == (SCHEMA, line(2))
    read: Any = stands_in
    assert (read["sequenceNumber"], read["unreadable"]["hides_value"]) == (1, False)
    assert "characters; at most 262144 are read" in read["unreadable"]["problem"]


def test_how_a_program_ended_is_told_also_where_its_last_line_is_too_large() -> None:
    heard = Heard(too_large(400))
    lines = Lines(heard, ABOUT)
    for text in (SCHEMA, line(1), line(2, "x" * 600)):
        lines.add(text)
    lines.end("It crashed.")
    assert [len(some) for some in heard.lines] == [1, 1, 1]
    last: Any = heard.lines[-1][0]
    assert last["sequenceNumber"] == 2
    assert [one.get("broken_off") for one in heard.told] == [None, None, "It crashed."]
    lines.add('{"cut off')  # goes with a line that fits
    lines.end("It crashed.")
    assert heard.lines[3:] == [[line(1), '{"cut off']]
    lines.add('{"cut off' + "x" * 600)  # has no place
    lines.end("It crashed.")
    assert heard.lines[4:] == [[line(1)], [line(1)]]


def test_a_run_of_which_no_line_fits_says_nothing() -> None:
    heard = Heard(too_large(0))
    lines = Lines(heard, ABOUT)
    lines.add(SCHEMA)
    lines.send()
    lines.add('{"cut off')
    lines.end("It crashed.")
    assert heard.told == []


def test_a_full_spool_makes_the_program_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocptv_agent, "FULL_RETRY_S", 0.01)
    tries = iter(range(4))
    heard = Heard(lambda data: SpoolFullError("full") if next(tries) < 3 else None)
    lines = Lines(heard, ABOUT)
    lines.add(SCHEMA)
    lines.send()
    assert heard.lines == [[SCHEMA]]


def mes(broker: Broker, spools: Path, command: str, *arguments: str) -> list[str]:
    """A `mes station` command."""
    step = ["--step", "test"] if arguments else []
    speaking = ["--station", "ft-1", *step, "--url", broker.url, "--spools", str(spools)]
    return [sys.executable, "-m", "mes", "station", command, *speaking, *arguments]


async def runs(stage: Stage) -> list[RunView]:
    """The runs of T1's test, with what is known of their values so far."""
    async with stage.database.reading() as connection:
        (unit,) = (await connection.exec_driver_sql("SELECT id::text FROM unit WHERE serial = 'T1'")).one()
        found = [one for one in await newest_runs(connection, unit, 100) if one.step == "test"]
        return [await run_view(connection, one.id) for one in found]


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await true()):  # noqa: ASYNC110 - it is another process that changes it
            await asyncio.sleep(0.1)
        return found


async def test_a_diagnostic_is_on_the_record_while_it_runs_and_as_it_printed(
    floor: Stage, broker: Broker, tmp_path: Path
) -> None:
    program = [sys.executable, "-u", "-m", "tests.stations.foreign_diagnostic", "30", "0.1", "7"]
    named = ["--unit", "T1", "--run", "soak-1", "--operator", "m.rossi"]
    following = mes(broker, tmp_path, "follow", *named, "--", *program)
    agent = await asyncio.create_subprocess_exec(*following, stdout=asyncio.subprocess.PIPE)
    (seen,) = await until(functools.partial(runs, floor))
    assert (agent.returncode, seen.verdict, seen.run) == (None, None, "soak-1")
    output, _ = await agent.communicate()
    assert agent.returncode == 7  # the program's
    printed = [json.loads(text) for text in output.decode().splitlines() if text.startswith("{")]
    assert b"banner" in output
    assert len(printed) == 42
    (run,) = await runs(floor)
    assert (run.claim, run.verdict, run.operator is not None) == ("pass", "pass", True)
    assert (run.program, run.program_version) == ("gpu-soak", "1.2")
    assert ("power", 150.0, "W", "pass") in [(one.name, one.value, one.unit, one.verdict) for one in run.measurements]
    elements = [one["testStepArtifact"]["measurementSeriesElement"] for one in printed if "SeriesElement" in str(one)]
    assert [one.value for one in run.measurements if one.name == "gpu_temp"] == [[one["value"] for one in elements]]
    assert run.recording is not None
    assert (run.recording.lines, run.recording.gaps) == (len(printed), [])
    assert run.notes is not None
    assert run.notes["steps"] == told_steps(printed)
    assert run.notes["diagnoses"] == [
        {"verdict": one["verdict"], "type": one["type"]} for one in artifacts(printed, "diagnosis")
    ]
    assert len(run.notes["diagnoses"]) == len(run.notes["steps"]) == 2


def artifacts(printed: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What is in a program's artifacts of that name."""
    steps = (one["testStepArtifact"] for one in printed if "testStepArtifact" in one)
    return [one[name] for one in steps if name in one]


def told_steps(printed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps that a program printed, one after another, with how each ended."""
    ends = [one["status"] for one in artifacts(printed, "testStepEnd")]
    starts = [one["name"] for one in artifacts(printed, "testStepStart")]
    return [{"name": name, "status": status} for name, status in zip(starts, ends, strict=True)]


async def test_a_run_whose_program_dies_is_interrupted_at_once(floor: Stage, broker: Broker, tmp_path: Path) -> None:
    """The agent sees how it ended, and says so; nobody waits for an end that will not come."""
    program = ["sh", "-c", f"{sys.executable} -u -m tests.stations.foreign_diagnostic 600 0.1 & echo pid $!; wait $!"]
    following = mes(broker, tmp_path, "follow", "--unit", "T1", "--run", "soak-3", "--", *program)
    agent = await asyncio.create_subprocess_exec(*following, stdout=asyncio.subprocess.PIPE)
    assert agent.stdout is not None
    pid = int((await agent.stdout.readline()).split()[1])
    await until(functools.partial(runs, floor))
    os.kill(pid, signal.SIGKILL)
    await agent.communicate()
    assert agent.returncode == 128 + signal.SIGKILL  # as the shell in between tells it
    patience = Patience(offline_s=900, silent_s=86_400)
    assert await until(lambda: interrupt_overdue(floor.database, patience, datetime.now(UTC))) == 1
    (run,) = await runs(floor)
    assert (run.claim, run.verdict) == ("interrupted", "interrupted")
    assert run.recording is not None
    assert run.recording.broken_off == "The program ended with exit status 137, and its run had no end."


async def test_the_broker_may_go_away_while_a_diagnostic_runs(floor: Stage, broker: Broker, tmp_path: Path) -> None:
    """Lines read from stdin are kept, and sent by the next call."""
    made = [sys.executable, "-m", "tests.stations.foreign_diagnostic", "20", "0"]
    whole = (await (await asyncio.create_subprocess_exec(*made, stdout=-1)).communicate())[0]
    following = mes(broker, tmp_path, "follow", "--unit", "T1", "--run", "soak-2", "--wait", "0.1")
    agent = await asyncio.create_subprocess_exec(*following, stdin=-1, stdout=-1, stderr=-1)
    assert agent.stdin is not None
    begun, rest = whole[: len(whole) // 2], whole[len(whole) // 2 :]
    agent.stdin.write(begun)
    await until(functools.partial(runs, floor))
    await broker.stop()
    output, told = await agent.communicate(rest)
    assert agent.returncode == 0, told
    assert output == whole
    assert b"the next call sends them" in told
    await broker.start()
    left = await asyncio.create_subprocess_exec(*mes(broker, tmp_path, "push"), stdout=-1)
    assert b"applied" in (await left.communicate())[0]
    assert left.returncode == 0
    (run,) = await runs(floor)
    assert (run.verdict, run.recording.lines) == ("pass", 32)  # type: ignore[union-attr]


async def followed_to_its_end(argv: list[str]) -> tuple[int | None, str]:
    """The exit status of a command, and what it said on stderr."""
    agent = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
    _, told = await agent.communicate()
    return agent.returncode, told.decode()


async def test_what_became_of_a_run_is_told_at_its_end(floor: Stage, broker: Broker, tmp_path: Path) -> None:
    diagnostic = [sys.executable, "-u", "-m", "tests.stations.foreign_diagnostic", "3", "0.1"]
    known = mes(broker, tmp_path, "follow", "--unit", "T1", "--run", "soak-4", "--", *diagnostic)
    status, told = await followed_to_its_end(known)
    assert status == 0
    assert "mes: run soak-4: " in told
    assert "applied" in told
    unknown = ["ft-99" if one == "ft-1" else one for one in known]
    status, told = await followed_to_its_end(unknown)
    assert status == 0, "the program's"
    assert "pending" in told
    assert "  " in told
    assert "ft-99" in told.partition("pending")[2]
    older = json.dumps({"sequenceNumber": 0, "testRunArtifact": {"testRunStart": {}}})
    status, told = await followed_to_its_end([*known[: known.index("--") + 1], "echo", older])
    assert status == 1, "the program's is 0, and nothing of it is on the record"
    assert "older dialect" in told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--unit", "C4 0007"], "unit: it contains a blank"),
        (["--unit", "T1", "--operator", "x" * 65], "operator: expected `str` of length <= 64"),
        (["--unit", "T1", "--run", "x" * 256], "run: expected `str` of length <= 255"),
    ],
)
async def test_names_that_can_not_be_read_are_told_before_the_program_starts(
    broker: Broker, tmp_path: Path, wrong: list[str], told: str
) -> None:
    status, said = await followed_to_its_end(mes(broker, tmp_path, "follow", *wrong, "--", "touch", f"{tmp_path}/ran"))
    assert (status, told in said) == (2, True), said
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_the_terminals_signals_are_the_programs(broker: Broker, tmp_path: Path, number: int) -> None:
    """It does not get them from the terminal: it leads a session of its own."""
    name = signal.Signals(number).name.removeprefix("SIG")
    program = ["sh", "-c", f"trap 'echo told; exit 3' {name}; echo ready; while :; do sleep 0.1; done"]
    following = mes(broker, tmp_path, "follow", "--unit", "T1", "--wait", "0.1", "--", *program)
    agent = await asyncio.create_subprocess_exec(*following, stdout=-1)
    assert agent.stdout is not None
    assert await agent.stdout.readline() == b"ready\n"
    agent.send_signal(number)
    assert (await agent.communicate())[0] == b"told\n"
    assert agent.returncode == 3
