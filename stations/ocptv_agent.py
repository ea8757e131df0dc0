"""Follows a program that writes OCP Test & Validation output, and forwards its lines while it runs.

The program knows nothing of the MES: it prints, we read. Lines go into the spool every second or so, and from there to
the MES when it can be reached; so a run that lasts days is seen live, and neither an outage of the broker nor the end
of this agent or its machine loses what was forwarded. When the spool is full the program has to wait.
"""

import json
import logging
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any, Final, NamedTuple, Protocol

from stations.spool import SpoolFullError
from stations.wording import TooLargeError

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
"""How long a line waits for others to be sent with."""
AT_ONCE: Final = 500
AT_ONCE_BYTES: Final = 256 * 1024
QUEUE_MAX_LINES: Final = 10_000
FULL_RETRY_S: Final = 1.0
QUIET_S: Final = 5.0
"""A program that ended and left its output open to another is not listened to longer than this."""
KILL_AFTER_S: Final = 30.0
"""How long a program that the MES wants to end may take to clean up."""
HOW_MAX: Final = 255


class About(NamedTuple):
    """Which run the lines belong to. `run` is the station's own name for it, unique at the station."""

    unit: str
    step: str
    run: str
    purpose: str = "production"
    operator: str | None = None
    fixture: str | None = None

    def told(self, lines: Sequence[str], broken_off: str | None = None) -> dict[str, Any]:
        """A message's data."""
        said = {**self._asdict(), "broken_off": broken_off, "lines": list(lines)}
        return {name: value for name, value in said.items() if value is not None}


class Forwarder(Protocol):
    """What an agent needs of its station."""

    def forward(self, type_: str, data: dict[str, Any]) -> str: ...


class Lines:
    """The lines since the last message. What is no line of the format, the program's other talk, is not sent."""

    def __init__(self, station: Forwarder, about: About, *, every_s: float = EVERY_S) -> None:
        self.sent: list[str] = []
        self.forwarded = 0
        self.about = about
        self._station = station
        self._runs = 1
        self._named = about.run
        self._every_s = every_s
        self._lines: list[str] = []
        self._bytes = 0
        self._since = 0.0
        self._last_placed: str | None = None
        self._has_placed = False
        self._has_end = False

    def add(self, line: str) -> None:
        """Take one line of output; sends when there are many."""
        line = line.strip()
        if "{" not in line:
            return
        placed = read_placed(line)
        if placed is not None and "schemaVersion" in placed and self._last_placed is not None:
            self._begin_another()
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(line)
        self._bytes += len(line)
        if placed is not None:
            self._has_placed = True
            self._last_placed = line
            self._has_end = self._has_end or _is_end(placed)
        if len(self._lines) >= AT_ONCE or self._bytes >= AT_ONCE_BYTES:
            self.send()

    @property
    def wait_s(self) -> float:
        """How long the lines at hand may wait."""
        return max(0.0, self._since + self._every_s - time.monotonic()) if self._lines else self._every_s

    def end(self, how: str) -> None:
        """Send what is left; where the run has not ended by then, tell `how` its program did: no end will come."""
        if self._last_placed is None or self._has_end:
            self.send()
            return
        lines, self._lines = self._lines, []
        self._forward(lines if self._has_placed else [self._last_placed, *lines], how[:HOW_MAX])

    def send(self) -> None:
        """Send what is at hand. Waits while the spool is full: what was printed must not be lost."""
        lines, self._lines, self._bytes = self._lines, [], 0
        placed, self._has_placed = self._has_placed, False
        if not lines:
            return
        if not placed:  # a message of broken lines alone could not be read; one that came before shows whose they are
            if self._last_placed is None:
                log.warning("%d broken lines before the first whole one are left out", len(lines))
                return
            lines.insert(0, self._last_placed)
        self._forward(lines)

    def _begin_another(self) -> None:
        """One program may do several runs: the second is `run.2`."""
        self.end("The program began another run before this one had its end.")
        self._runs += 1
        self._last_placed = None
        self._has_end = False
        self.about = self.about._replace(run=f"{self._named}.{self._runs}")

    def _forward(self, lines: Sequence[str], broken_off: str | None = None) -> None:
        while True:
            try:
                self.sent.append(self._station.forward("org.opencompute.ocptv", self.about.told(lines, broken_off)))
                self.forwarded += len(lines)
                return
            except SpoolFullError as error:
                log.warning("%s The program has to wait.", error)
                time.sleep(FULL_RETRY_S)
            except TooLargeError as error:
                if len(lines) == 1:
                    log.error("a line is left out: %s", error)
                    return
                middle = len(lines) // 2
                self._forward(lines[:middle])
                lines = lines[middle:]


def read_placed(line: str) -> dict[str, Any] | None:
    """The object in a line if it has a sequence number; a logger may have put its name in front."""
    try:
        value = json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and type(value.get("sequenceNumber")) is int else None


def _is_end(placed: dict[str, Any]) -> bool:
    artifact = placed.get("testRunArtifact")
    return isinstance(artifact, dict) and isinstance(artifact.get("testRunEnd"), dict)


class Program:
    """A program that is run and read. Raises OSError if it can't be started."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, errors="replace", bufsize=1)
        assert self._process.stdout is not None
        self.output: IO[str] = self._process.stdout

    @property
    def has_ended(self) -> bool:
        """Whether the program itself ended; what it started may go on."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Ask it to end, as Ctrl-C's big brother does; kill it when it takes too long."""
        self._process.terminate()
        threading.Thread(target=self._kill_late, name="ocptv-kill", daemon=True).start()

    def status(self) -> int:
        """Its exit status as a shell tells it: 128 and the signal's number for one that was killed."""
        status = self._process.wait()
        return 128 - status if status < 0 else status

    def how_it_ended(self) -> str:
        """Its end in words, for a run that it left without one."""
        status = self._process.wait()
        if status >= 0:
            return f"The program ended with exit status {status}, and its run had no end."
        with suppress(ValueError):
            return f"The program was ended by {signal.Signals(-status).name}, and its run had no end."
        return f"The program was ended by signal {-status}, and its run had no end."

    def _kill_late(self) -> None:
        try:
            self._process.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()


def follow(lines: Lines, output: IO[str], has_ended: Callable[[], bool], show: IO[str] | None = None) -> None:
    """Read output to its end and send its lines, but for the last ones; `show` gets all of it as it came."""
    read: queue.Queue[str | None] = queue.Queue(QUEUE_MAX_LINES)
    threading.Thread(target=_read, args=(output, read, show), name="ocptv-read", daemon=True).start()
    quiet_since = time.monotonic()
    while True:
        try:
            line = read.get(timeout=lines.wait_s)
        except queue.Empty:
            lines.send()
            if has_ended() and time.monotonic() - quiet_since > QUIET_S:
                log.warning("the program ended, and its output is still open elsewhere; it is not read on")
                break
            continue
        if line is None:
            break
        quiet_since = time.monotonic()
        lines.add(line)
        if lines.wait_s == 0.0:  # a steady trickle never leaves the queue empty
            lines.send()


def _read(output: IO[str], read: "queue.Queue[str | None]", show: IO[str] | None) -> None:
    try:
        for line in output:
            show = _shown(line, show)
            read.put(line)
    except (OSError, ValueError) as error:
        log.warning("the output can't be read on: %s", error)
    finally:
        read.put(None)


def _shown(line: str, show: IO[str] | None) -> IO[str] | None:
    """Who is to be shown the next line: nobody any more if whoever read along went away."""
    try:
        if show is not None:
            show.write(line)
            show.flush()
    except (OSError, ValueError):
        return None
    return show
