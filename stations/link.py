"""Keeps a station connected, and says for it what is due: one thread, one connection after the other.

Whoever has something to say writes it to the spool and wakes this; nobody else touches the network.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from stations.alarms import Alarms, tell_spool
from stations.connection import Connection, Listener, RefusedError, in_words
from stations.spool import SpoolError
from stations.window import Window

log = logging.getLogger(__name__)

BACK_OFF_MIN_S: Final = 0.5
BACK_OFF_MAX_S: Final = 15.0
STEADY_S: Final = 10.0
"""A connection that lived this long was a good one: the next failure is a new story."""
GOODBYE_S: Final = 2.0
UNREACHABLE_S: Final = 30.0
"""Without a connection for so long, people are told."""
ENDS_MAX: Final = 4
"""So many connections that end within `ENDS_WITHIN_S` are no accident: two of one name end each other's."""
ENDS_WITHIN_S: Final = 60.0


class Said(NamedTuple):
    """Something that is said at once and not kept: a status, an ask."""

    topic: str
    payload: bytes
    retain: bool = False


class Speaker(Protocol):
    """Whose link it is. Called from the link's thread."""

    def greeting(self) -> list[Said]:
        """What is said first on a new connection."""

    def hear(self, topic: str, payload: bytes) -> None:
        """What the MES said."""


class BackOff:
    """How long to wait before the next try: twice as long each time, and never as long as everybody else."""

    def __init__(self, least_s: float = BACK_OFF_MIN_S, most_s: float = BACK_OFF_MAX_S) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._next_s = least_s

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a connection that lived so long."""
        if lived_s > STEADY_S:
            self._next_s = self._least_s
        pause_s = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, self._most_s)
        return pause_s


class Reach:
    """Whether the broker is reached, and for how long: gives an alarm where it is not, or never for long.

    Called by one thread.
    """

    def __init__(self, name: str, alarms: Alarms) -> None:
        self._name = name
        self._alarms = alarms
        self._changed_at = time.monotonic()
        self._why: str | None = None
        self._ends: deque[float] = deque(maxlen=ENDS_MAX)

    def begins(self) -> None:
        """The first try."""
        self._changed_at = time.monotonic()

    def came(self) -> None:
        """There is a connection."""
        self._changed_at = time.monotonic()
        self._alarms.over("unreachable", "refused")

    def went(self, why: str) -> None:
        """A connection ended that we did not end."""
        self._changed_at = time.monotonic()
        self._why = f"the connection ended ({why})."
        self._ends.append(self._changed_at)
        took_s = self._changed_at - self._ends[0]
        if len(self._ends) == ENDS_MAX and took_s <= ENDS_WITHIN_S:
            self._alarms.give(
                "unsteady",
                f"The connection to the broker ended {ENDS_MAX} times in {took_s:.0f} s ({why}): "
                f"is another program connected as {self._name}? Each needs a name of its own.",
            )

    def failed(self, why: str | None) -> None:
        """There could be no connection; None: people were told of that already."""
        self._why = why

    def stays(self) -> None:
        """There still is a connection."""
        if self._ends and time.monotonic() - self._changed_at > UNREACHABLE_S:
            self._ends.clear()
            self._alarms.over("unsteady")

    def look(self) -> None:
        """There still is no connection."""
        away_s = time.monotonic() - self._changed_at
        if self._why and away_s >= UNREACHABLE_S:
            self._alarms.give(
                "unreachable", f"There has been no connection to the broker for {away_s:.0f} s: {self._why}"
            )


class Link:
    """The thread. `changed` is notified whenever something came or the connection came or went."""

    def __init__(
        self, name: str, connect: Callable[[Listener], Connection], window: Window, speaker: Speaker, alarms: Alarms
    ) -> None:
        self.changed = threading.Condition()
        self.up = False
        self._connect = connect
        self._window = window
        self._speaker = speaker
        self._alarms = alarms
        self._reach = Reach(name.replace("station-", "station ", 1), alarms)
        self._soon: deque[Said] = deque()
        self._connection: Connection | None = None
        self._closing = threading.Event()
        self._close_at = float("inf")
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    @property
    def is_me(self) -> bool:
        """Whether the caller is this thread, and so would wait for itself."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Connect, and again whenever the connection breaks."""
        self._thread.start()

    def stop(self) -> None:
        """Say what is to be said at once, then leave. Waits for the end of the thread."""
        self._close_at = time.monotonic() + GOODBYE_S
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Something new may be due."""
        connection = self._connection
        if connection is not None:
            connection.wake()

    def say(self, said: Said) -> None:
        """Say it at once if there is a connection; otherwise not at all."""
        with self.changed:
            if self.up:
                self._soon.append(said)
        self.wake()

    def on_up(self) -> None:
        assert self._connection is not None
        self._reach.came()
        self._window.begin(time.monotonic())
        with self.changed:
            self.up = True
            self._soon.clear()
            self._soon.extend(self._speaker.greeting())
            self.changed.notify_all()

    def on_message(self, topic: str, payload: bytes) -> None:
        try:
            self._speaker.hear(topic, payload)
        except Exception:
            log.exception("what the MES said on %s could not be taken in", topic)

    def on_turn(self) -> None:
        connection = self._connection
        assert connection is not None
        self._reach.stays()
        while connection.room and self._soon:
            said = self._soon.popleft()
            connection.publish(said.topic, said.payload, retain=said.retain)
        if self._closing.is_set():
            return
        for one in self._window.due(time.monotonic(), connection.room):
            if connection.payload_max is not None and len(one.payload) > connection.payload_max:
                text = f"Message {one.id} has {len(one.payload)} bytes; the broker takes {connection.payload_max}."
                self._alarms.give("too_large", text)
            else:
                connection.publish(one.topic, one.payload)

    def _live(self) -> None:
        back_off = BackOff()
        self._reach.begins()
        while not self._closing.is_set():
            began = time.monotonic()
            self._connect_once()
            with self.changed:
                self.up = False
                self._connection = None
                self.changed.notify_all()
            self._rest(back_off.after(time.monotonic() - began))

    def _rest(self, seconds: float) -> None:
        """Wait until the next try, or until we leave."""
        until = time.monotonic() + seconds
        while not self._closing.is_set() and (left_s := until - time.monotonic()) > 0:
            self._reach.look()
            self._closing.wait(min(left_s, 1.0))

    def _connect_once(self) -> None:
        where = "its address"
        try:
            connection = self._connect(self)
            self._connection = connection
            where = connection.where
            connection.run(self._is_over)
            if not self._closing.is_set():
                self._reach.went(connection.ended)
        except RefusedError as error:
            self._alarms.give("refused", f"The broker refuses us: {error}.")
            self._reach.failed(None)
        except OSError as error:
            log.info("the broker at %s can't be reached: %s", where, error)
            self._reach.failed(f"{where} can't be reached: {in_words(error)}")
        except SpoolError as error:
            tell_spool(self._alarms, error)
            self._reach.failed(None)
        except Exception as error:
            log.exception("the connection failed; it is tried again")
            self._reach.failed(f"{type(error).__name__}: {error}.")

    def _is_over(self) -> bool:
        """Whether to leave now: everything is said, or there is no more time."""
        connection = self._connection
        if not self._closing.is_set() or connection is None:
            return False
        return time.monotonic() > self._close_at or not connection.up or (not self._soon and connection.drained)
