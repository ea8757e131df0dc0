"""Small programs that tests start as processes of their own, because what is tested is how a process ends."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mes.embedded.child import Process, born

SLEEPER = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]

COUNT = """
import os, signal, sys, time
from pathlib import Path
said, *name = sys.argv[1:]
def heard(number, _):
    with open(said, "a") as file: file.write(f"{name[0] if name else int(number)}\\n")
    time.sleep(0.3)
    sys.exit(0)
for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, heard)
Path(said).touch()
time.sleep(600)
"""
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
COUNTER = [sys.executable, "-c", COUNT]
"""Writes each signal that it hears (or the name it was given) into a file; the file is there once it listens."""


def wait_until(true: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for something to become true; fails the test if it does not."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def process(pid: int) -> Process:
    """A living process by its number."""
    birth = born(pid)
    assert birth is not None
    return Process(pid, birth)


@contextmanager
def running(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program in a session of its own, as a terminal's job is; killed at the end if it still runs.

    It hears Ctrl-C also where the tests themselves run in the background of a shell, which makes all they start deaf.
    """
    program = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + source, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield program
    finally:
        if program.poll() is None:
            program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def line(program: subprocess.Popen[str]) -> str:
    """The next line that the program prints."""
    assert program.stdout is not None
    said = program.stdout.readline().strip()
    assert said, f"the program ended without a word (status {program.wait()})"
    return said
