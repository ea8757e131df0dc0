"""Programs that are followed: told to end, and not listened to for ever."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from stations import ocptv_agent
from stations.ocptv_agent import Lines, Program, follow
from tests.embedded.programs import wait_until
from tests.stations.test_ocptv_agent import ABOUT, SCHEMA, Heard

SOAK = """
import signal, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.close()
for number in range(600):
    if sys.argv[1] != "deaf":
        print('{"sequenceNumber": %d}' % number, flush=True)
    time.sleep(0.1)
"""


def shell(tmp_path: Path, how: str, then: str) -> tuple[list[str], Path]:
    """A shell that runs a soak in the background and does something then; where the soak's process id is written."""
    (tmp_path / "soak.py").write_text(SOAK)
    pid = tmp_path / "pid"
    return ["sh", "-c", f"{sys.executable} {tmp_path / 'soak.py'} {how} & echo $! > {pid}; {then}"], pid


def lives(pid: Path) -> bool:
    """Whether the soak goes on."""
    try:
        state = Path(f"/proc/{int(pid.read_text())}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def followed(program: Program, heard: Heard, how: Callable[[], None] = lambda: None) -> float:
    """How long following a program took; `how` is called when the first of its lines came."""
    lines = Lines(heard, ABOUT, every_s=0.1)
    began = time.monotonic()
    threading.Thread(target=lambda: (wait_until(lambda: heard.told), how())).start()
    follow(lines, program.output, lambda: program.has_ended)
    lines.end(program.how_it_ended())
    return time.monotonic() - began


def test_what_is_stopped_is_the_test_and_not_only_the_shell_that_runs_it(tmp_path: Path) -> None:
    argv, pid = shell(tmp_path, "steady", "wait; echo done")
    heard = Heard()
    program = Program(argv)
    with closing(program.output):
        assert followed(program, heard, program.end) < 10
    assert not lives(pid)
    assert program.status() == 128 + signal.SIGTERM
    assert heard.told[-1]["broken_off"] == "The program was ended by SIGTERM, and its run had no end."


def test_what_does_not_end_when_it_is_told_to_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the shell ended at once, and nobody reads what the test prints."""
    monkeypatch.setattr(ocptv_agent, "KILL_AFTER_S", 1.0)
    argv, pid = shell(tmp_path, "deaf", f"echo '{SCHEMA}'; sleep 0.5; wait")
    program = Program(argv)
    with closing(program.output):
        followed(program, Heard(), program.end)
    assert program.status() == 128 + signal.SIGTERM
    wait_until(lambda: not lives(pid))


def test_what_a_program_left_behind_is_not_listened_to_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocptv_agent, "AFTER_END_S", 1.0)
    argv, pid = shell(tmp_path, "steady", "sleep 0.5")
    heard = Heard()
    program = Program(argv)
    with closing(program.output):
        assert 1 < followed(program, heard) < 10
        assert len([text for some in heard.lines for text in some]) > 8
        assert lives(pid), "nobody wanted it to end"
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_all_that_a_program_printed_before_its_end_is_sent_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocptv_agent, "AFTER_END_S", 1.0)
    monkeypatch.setattr(ocptv_agent, "QUEUE_MAX_LINES", 100)
    slow = Heard(lambda data: time.sleep(0.05))
    program = Program([sys.executable, "-c", f"print('\\n'.join([{SCHEMA!r}, *['{{}}'.join('{{}}')] * 20_000]))"])
    with closing(program.output):
        followed(program, slow)
    assert sum(map(len, slow.lines)) >= 20_001
