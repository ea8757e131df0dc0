"""Follows a program that writes OCP Test & Validation output, and forwards its lines while it runs.

The program knows nothing of the MES: it prints, we read. Lines go into the spool every second or so, and from there to
the MES when it can be reached; so a run that lasts days is seen live, and neither an outage of the broker nor the end
of this agent or its machine loses what was forwarded. When the spool is full the program has to wait.
"""

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Any, Final, NamedTuple, Protocol

from mes.formats.messages import LINE_MAX, RunReported, stand_in
from stations.facts import unit_ref
from stations.spool import SpoolFullError
from stations.wording import TooLargeError, check

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
"""How long a line waits for others to be sent with."""
AT_ONCE: Final = 500
AT_ONCE_BYTES: Final = 256 * 1024
QUEUE_MAX_LINES: Final = 10_000
FULL_RETRY_S: Final = 1.0
AFTER_END_S: Final = 5.0
"""Where a program ended and left its output open to another, that is not waited for longer than this, all in all."""
LEFT_MAX_LINES: Final = 100_000
"""So many lines that a program printed before its end may still be on their way, in its pipe and in our queue."""
KILL_AFTER_S: Final = 30.0
"""How long a program that the MES wants to end may take to clean up."""
GONE_CHECK_S: Final = 0.1
HOW_MAX: Final = 255


Line = str | dict[str, Any]
"""A line as it was printed; an object stands in the place of one that is too large."""


class About(NamedTuple):
    """Which run the lines belong to. `run` is the station's own name for it, unique at the station."""

    unit: str
    step: str
    run: str
    purpose: str = "production"
    operator: str | None = None
    fixture: str | None = None

    def check(self) -> None:
        """Raises ValueError for a name that the MES would reject, before a program runs for nothing."""
        now = datetime.now(UTC)
        names: dict[str, Any] = {name: value for name, value in self._asdict().items() if name not in ("unit", "step")}
        check(RunReported(unit_ref(self.unit), self.step, now, now, "error", **names))

    def told(self, lines: Sequence[Line], broken_off: str | None = None) -> dict[str, Any]:
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
        self._lines: list[Line] = []
        self._bytes = 0
        self._since = 0.0
        self._is_begun = False
        self._shown: str | None = None
        """The last whole line that fitted into a message: goes with broken lines, to show whose they are."""
        self._has_placed = False
        self._has_end = False

    def add(self, line: str) -> None:
        """Take one line of output; sends when there are many."""
        line = line.strip()
        if "{" not in line:
            return
        if len(line) > LINE_MAX:
            self._add_large(line)
            return
        placed = read_placed(line)
        if placed is not None and "schemaVersion" in placed and self._is_begun:
            self._begin_another()
        self._keep(line, placed)

    def _add_large(self, line: str) -> None:
        """What the MES would not read keeps its place in the run; without a number it has none, and is talk."""
        if stands_in := stand_in(line):
            log.warning("line %d has %d characters; only that is told of it", stands_in["sequenceNumber"], len(line))
            self._keep(stands_in, stands_in)

    def _keep(self, line: Line, placed: dict[str, Any] | None) -> None:
        """Have a line sent with the next message. `placed` is the object in it, if it has a number."""
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(line)
        self._bytes += len(line)
        if placed is not None:
            self._has_placed = self._is_begun = True
            self._has_end = self._has_end or _is_end(placed)
        if len(self._lines) >= AT_ONCE or self._bytes >= AT_ONCE_BYTES:
            self.send()

    @property
    def wait_s(self) -> float:
        """How long the lines at hand may wait."""
        return max(0.0, self._since + self._every_s - time.monotonic()) if self._lines else self._every_s

    def end(self, how: str) -> None:
        """Send what is left; where the run has not ended by then, tell `how` its program did: no end will come."""
        if not self._is_begun or self._has_end:
            self.send()
            return
        self._forward(self._taken(), how[:HOW_MAX])

    def send(self) -> None:
        """Send what is at hand. Waits while the spool is full: what was printed must not be lost."""
        if self._lines:
            self._forward(self._taken())

    def _taken(self) -> list[Line]:
        """The lines at hand, which are so no longer."""
        lines, placed = self._lines, self._has_placed
        self._lines, self._bytes, self._has_placed = [], 0, False
        return lines if placed else self._with_whole(lines)

    def _with_whole(self, broken: list[Line]) -> list[Line]:
        """Broken lines alone could not be read: a whole one that was sent before shows whose they are."""
        if self._shown is None:
            log.warning("%d broken lines before the first whole one are left out", len(broken))
            return []
        return [self._shown, *broken]

    def _begin_another(self) -> None:
        """One program may do several runs: the second is `run.2`."""
        self.end("The program began another run before this one had its end.")
        self._runs += 1
        self._shown = None
        self._is_begun = self._has_end = False
        self.about = self.about._replace(run=f"{self._named}.{self._runs}")

    def _forward(self, lines: Sequence[Line], broken_off: str | None = None) -> None:
        while lines:
            try:
                self.sent.append(self._station.forward("org.opencompute.ocptv", self.about.told(lines, broken_off)))
                self.forwarded += len(lines)
                texts = [one for one in reversed(lines) if isinstance(one, str)]
                self._shown = next((one for one in texts if read_placed(one)), self._shown)
                return
            except SpoolFullError as error:
                log.warning("%s The program has to wait.", error)
                time.sleep(FULL_RETRY_S)
            except TooLargeError as error:
                middle = len(lines) // 2
                if middle:
                    self._forward(lines[:middle])
                    lines = lines[middle:]
                else:
                    log.error("a line can't be sent: %s", error)
                    lines = self._instead_of(lines[0], bool(broken_off))

    def _instead_of(self, large: Line, is_last: bool) -> list[Line]:
        """What is sent for a line that is too large: what has its place; or what tells how the program ended."""
        if isinstance(large, str) and (stands_in := stand_in(large, "it was too large to be sent")):
            return [stands_in]
        return [] if not is_last or self._shown in (None, large) else self._with_whole([])


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
    """A program that is run and read, with all that it starts. Raises OSError if it can't be started.

    It leads a session of its own, so that a shell that is stopped does not leave the test that it runs going on; the
    terminal's signals don't reach it there, and are to be told to it.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, errors="replace", bufsize=1, start_new_session=True
        )
        assert self._process.stdout is not None
        self.output: IO[str] = self._process.stdout
        self._ending: threading.Thread | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the program ended; what it started may go on, unless it was to be ended too."""
        return self._process.poll() is not None and not (self._ending and self._ending.is_alive())

    def tell(self, number: int) -> None:
        """Pass a signal on to the program and what it started."""
        if sys.platform == "win32":
            self._process.send_signal(number)
            return
        with suppress(ProcessLookupError, PermissionError):  # all of them ended; macOS says the latter then
            os.killpg(self._process.pid, number)

    def end(self) -> None:
        """Ask it, and what it started, to end, as Ctrl-C's big brother does; kill what takes too long."""
        if self._ending is None:
            ending = threading.Thread(target=self._see_gone, name="ocptv-end", daemon=True)
            ending.start()
            self._ending = ending  # only once it runs: another thread may join it
        self.tell(signal.SIGTERM)

    def status(self) -> int:
        """Its exit status as a shell tells it: 128 and the signal's number for one that was killed."""
        status = self._wait()
        return 128 - status if status < 0 else status

    def how_it_ended(self) -> str:
        """Its end in words, for a run that it left without one."""
        status = self._wait()
        if status >= 0:
            return f"The program ended with exit status {status}, and its run had no end."
        with suppress(ValueError):
            return f"The program was ended by {signal.Signals(-status).name}, and its run had no end."
        return f"The program was ended by signal {-status}, and its run had no end."

    def _wait(self) -> int:
        """Wait for its end, and for that of what it started where that was to end: nothing is left heating."""
        status = self._process.wait()
        if self._ending:
            self._ending.join()
        return status

    def _see_gone(self) -> None:
        until = time.monotonic() + KILL_AFTER_S
        while time.monotonic() < until:
            if self._is_gone():
                return
            time.sleep(GONE_CHECK_S)
        if sys.platform == "win32":
            self._process.kill()
        else:
            self.tell(signal.SIGKILL)

    def _is_gone(self) -> bool:
        if self._process.poll() is None:
            return False
        if sys.platform == "win32":
            return True
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return True
        return False


def follow(lines: Lines, output: IO[str], has_ended: Callable[[], bool], show: IO[str] | None = None) -> None:
    """Read output to its end and send its lines, but for the last ones; `show` gets all of it as it came."""
    read: queue.Queue[str | None] = queue.Queue(QUEUE_MAX_LINES)
    threading.Thread(target=_read, args=(output, read, show), name="ocptv-read", daemon=True).start()
    ended, waited_s, left = False, 0.0, LEFT_MAX_LINES
    while left and waited_s < AFTER_END_S:
        ended = ended or has_ended()
        began = time.monotonic()
        try:
            line = read.get(timeout=lines.wait_s)
        except queue.Empty:
            lines.send()
            line = ""
        if line is None:
            return
        if ended:  # what it printed before is there at once, however long it takes to send it
            waited_s += time.monotonic() - began
            left -= 1
        lines.add(line)
        if lines.wait_s == 0.0:  # a steady trickle never leaves the queue empty
            lines.send()
    log.warning("the program ended, and its output is still open elsewhere; it is not read on")


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
