"""One process that this one started, or found: whether it lives, what it said last, and how it is ended.

A process is known by its number *and* the moment it was born, for numbers are used again. Each child leads a session
of its own, so that a Ctrl-C at the terminal reaches only us and each child is told to stop once, by us, in order.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

POLL_S = 0.02
PROC = Path("/proc/self/stat")
LOG_MAX_BYTES = 16 * 1024 * 1024
TAIL_MAX_BYTES = 8 * 1024
SAID_MAX_BYTES = 64 * 1024
LAUNCH = str(Path(__file__).with_name("launch.py"))

Steps = Sequence[tuple[signal.Signals, float]]
"""How a process is asked to end: a signal, and the seconds it gets before the next, sterner one."""
POLITELY: Steps = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


def born(pid: int) -> str | None:
    """When the process with this number was born, in the system's own words; None if there is none (or a zombie)."""
    if PROC.exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


async def _ended(is_over: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not is_over():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


@dataclass(frozen=True)
class Process:
    """A process by number and birth; it need not be our child."""

    pid: int
    born: str

    @classmethod
    def current(cls) -> "Process":
        """This process."""
        return cls(os.getpid(), born(os.getpid()) or "")

    @classmethod
    def read(cls, record: Path) -> "Process | None":
        """The process that a record names, if it still lives."""
        try:
            process = cls(**json.loads(record.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.alive else None

    def write(self, record: Path) -> None:
        """Leave a record, for a start that finds this process after our sudden death."""
        record.write_text(json.dumps({"pid": self.pid, "born": self.born}))

    @property
    def alive(self) -> bool:
        return born(self.pid) == self.born

    def listens_on(self, port: int) -> bool:
        """Whether the server on this TCP port is this very process, and not another that has taken the port."""
        try:
            connections = psutil.Process(self.pid).net_connections(kind="tcp4")
        except psutil.NoSuchProcess:
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the process, or everything in its group; one that is gone already is no error."""
        with suppress(ProcessLookupError):
            if group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    async def ended(self, within_s: float) -> bool:
        """Wait for the end; False if it still lives after that many seconds."""
        return await _ended(lambda: not self.alive, within_s)

    async def stop(self, steps: Steps = POLITELY, *, group: bool = False) -> None:
        """End the process, more sternly with each step; when cancelled, take the next one and wait no more."""
        for (number, within_s), (sterner, _) in zip(steps, [*steps[1:], steps[-1]], strict=True):
            self.send(number, group=group)
            try:
                if await self.ended(within_s):
                    return
            except asyncio.CancelledError:
                self.send(sterner, group=group)
                raise


class Child:
    """A process of ours: started with its output in a log file, and dying with us."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        identity: str = "self",
        death_signal: signal.Signals | None = signal.SIGTERM,
    ) -> None:
        """`death_signal` is what the kernel sends it when we end; None lets it live on."""
        self.name = name
        self.log = log
        launch = [sys.executable, "-I", "-S", LAUNCH, str(os.getpid()), str(int(death_signal or 0)), identity]
        with open_log(log) as output:
            self._log_start = output.tell()
            # The kernel's death signal follows the *thread* that forks: start children from a thread that stays.
            self._popen = subprocess.Popen(
                [*launch, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        self.process = Process(self._popen.pid, born(self._popen.pid) or "")

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it lives."""
        return self._popen.poll()

    async def ended(self, within_s: float) -> bool:
        """Wait for the end; False if it still lives after that many seconds."""
        return await _ended(lambda: not self.alive, within_s)

    async def stop(self, steps: Steps = POLITELY, *, group: bool = False) -> None:
        """End the child and collect it."""
        try:
            if self.alive:
                await self.process.stop(steps, group=group)
        finally:
            self.collect()

    def disown(self) -> None:
        """Leave it to live on without us."""
        self._popen.returncode = 0  # or Python complains, when this object goes, that it still runs

    def collect(self, within_s: float = 1.0) -> None:
        """Take note of the end of a child that was killed, so that no zombie stays."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=within_s)

    def last_lines(self, count: int = 8) -> str:
        """The end of the log, for an error's text."""
        return tail(self.log, count)

    def said(self) -> str:
        """What this child wrote to the log, or the beginning of it."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read(SAID_MAX_BYTES).decode(errors="replace")


def open_log(log: Path) -> BinaryIO:
    """Open a log to append to; one that grew beyond LOG_MAX_BYTES is first put aside as `.1`."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_MAX_BYTES:
            log.replace(log.with_name(log.name + ".1"))
    return log.open("ab")


def tail(log: Path, count: int) -> str:
    """The last lines of a file, without reading all of it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_MAX_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
