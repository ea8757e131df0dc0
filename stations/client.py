"""A station's line to the MES over MQTT.

    with Station("mqtt://127.0.0.1:1883", "ct-01", spool="ct-01.spool") as station:
        with station.run("CB-000123", "cable-test") as run:
            run.measure("insulation", 4.2, "GOhm", low=0.1)
        fates = station.await_receipts()

What is posted is on disk before it is sent, and kept until the MES's receipt comes: said twice, done once. A station
may be offline for days, be killed, and lose power: what it said arrives.
"""

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct

from mes.formats.messages import (
    MESSAGE_MAX_BYTES,
    Child,
    Message,
    MessagesSettled,
    MessagesWanted,
    RunStop,
    SettledMessage,
    StepAnswered,
    UnitRef,
    decode_answer,
)
from mes.mqtt import topics
from stations.alarms import Alarms, OnAlarm, tell_held, tell_rejected, tell_spool
from stations.asking import ASK_S, OnNoAnswer, Permit
from stations.clock import Clock
from stations.connection import Connection, Listener, MqttVersion, known_version, parse_url
from stations.facts import Facts, unit_ref
from stations.link import Link, Said
from stations.runs import Run
from stations.spool import Posted, Spool, SpoolError, default_path
from stations.window import AGAIN_MIN_S, Window
from stations.wording import TooLargeError, Wording

__all__ = ["Station", "TooLargeError"]
log = logging.getLogger(__name__)

LINGER_S: Final = 2.0
"""How long a station that is closed waits for receipts that are on their way."""
POSTED_MAX: Final = 10_000
"""So many of the last ids posted are remembered for `await_receipts`."""
FILLING: Final = 0.8
"""So full the spool gives an alarm; below `EMPTIED` it may give it again."""
EMPTIED: Final = 0.7


class Station(Facts):
    """One station. Use it with `with`; its methods may be called from any thread, and none of them waits for the
    broker but `connected`, `ask`, `permit`, `run` and `await_receipts`.

    `url` is mqtt[s]://user:password@host:port; `user` and `password` may be given apart; `ssl_context` is for mqtts://
    only. `spool` is the file that keeps what is said until the MES has it (or a `Spool`, which is closed with the
    station); else it is at `default_path`. `beside` names a program that speaks as this station beside its own client,
    without a status, with a connection and spool of its own. `receipt_s` is how long a receipt is waited for before a
    message is sent again; longer where they take longer, and twice as long each time none comes.

    `on_stop` is called when the MES says that a running test should end, `on_alarm` when a person should mend
    something. Both are called from the network's thread, or from the one that posts, and must not wait.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        spool: Spool | Path | str | None = None,
        user: str | None = None,
        password: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        mqtt: MqttVersion = "3.1.1",
        beside: str | None = None,
        message_max_bytes: int = MESSAGE_MAX_BYTES,
        receipt_s: float = AGAIN_MIN_S,
        on_stop: Callable[[RunStop], None] | None = None,
        on_alarm: OnAlarm | None = None,
    ) -> None:
        self.name = name
        self._wording = Wording(name, message_max_bytes)
        self._broker = parse_url(url, user, password, for_tls=ssl_context is not None)
        self._client_id = f"station-{name}-{beside}" if beside else f"station-{name}"
        self._mqtt = known_version(mqtt)
        self._tls = ssl_context
        self._says_status = beside is None
        self._on_stop = on_stop
        self._status: tuple[str, datetime, str | None] = ("idle", datetime.now(UTC), None)
        self._alarms = Alarms(name, on_alarm)
        self._clock = Clock(self._alarms)
        self._asked: dict[str, tuple[Posted, StepAnswered | None]] = {}
        self._awaited: list[set[str]] = []
        self._posted: deque[str] = deque(maxlen=POSTED_MAX)
        self._runs: dict[str, Run] = {}
        self._closed = False
        self._spool = (
            spool if isinstance(spool, Spool) else Spool(spool or default_path(name, beside or "client"), name)
        )
        if self._spool.salvaged:
            self._alarms.give("spool_damaged", self._spool.salvaged)
        self._window = Window(self._spool, self._alarms, again_s=receipt_s)
        self._link = Link(self._client_id, self._connect, self._window, self, self._alarms)

    def __enter__(self) -> Self:
        self._link.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, linger_s: float = LINGER_S) -> None:
        """Wait a little for receipts that are on their way, say goodbye, and close the spool.

        What has no receipt then stays in the spool and is sent when the station is next opened with it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.await_receipts(timeout_s=linger_s)
            left = self._spool.waiting_messages
            if left:
                log.warning("%s leaves with %d messages in %s", self.name, left, self._spool.path)
            self.status("offline")
        finally:
            self._link.stop()
            self._spool.close()

    def connected(self, timeout_s: float = 10.0) -> bool:
        """Wait until the broker listens to us and we to it; False if it does not in time."""
        return self._wait(lambda: self._link.up, timeout_s)

    @property
    def clock_ahead_s(self) -> float | None:
        """How many seconds this clock is ahead of the MES's (less than 0: behind); None while nothing came from it."""
        return self._clock.ahead_s

    @property
    def message_max_bytes(self) -> int:
        """How large a message may be."""
        return self._wording.max_bytes

    @property
    def waiting(self) -> tuple[int, int]:
        """How many messages, and how many bytes of them, wait in the spool for receipts."""
        return self._spool.waiting_messages, self._spool.waiting_bytes

    def status(self, state: str, reason: str | None = None) -> None:
        """Say what the station is doing: idle, running, down, offline. Raises ValueError for anything else."""
        self._wording.status(*(status := (state, datetime.now(UTC), reason)))
        with self._link.changed:
            self._status = status
            if self._says_status:
                self._link.say(self._status_said())

    def post(
        self, data: Struct, *, at: datetime | None = None, id: str | None = None, traceparent: str | None = None
    ) -> str:
        """Say a fact; its topic and type follow from `data`. Returns the message's id; by then it is on disk.

        `at` is the time of the message (default now); `id` a name for it that is unique for ever: what was posted
        under it before is not posted again. Raises `TooLargeError`, and `SpoolFullError` when too much waits for
        receipts or the disk is full: then stop working, or what is done is not on the record.
        """
        return self._keep([self._wording.fact(data, at, id, traceparent)])[0]

    def post_all(self, facts: Iterable[Struct], *, at: datetime | None = None) -> list[str]:
        """Say several facts, all or none, in their order; many at once cost the disk no more than one."""
        return self._keep([self._wording.fact(data, at) for data in facts])

    def forward(self, type_: str, data: Mapping[str, Any], *, at: datetime | None = None, id: str | None = None) -> str:
        """Pass on what a foreign tester wrote, as the contract's type for it holds it (`org.opencompute.ocptv` …)."""
        return self._keep([self._wording.foreign(type_, data, at, id)])[0]

    def await_receipts(self, ids: Iterable[str] | None = None, *, timeout_s: float = 10.0) -> dict[str, SettledMessage]:
        """Wait for receipts of these messages and return those that came, by id.

        None: of all that was posted since this was last called so, and of all that waits from before. A message may be
        `pending`: the MES keeps it, and `fate` tells when it is settled.
        """
        self._check_thread()
        with self._link.changed:
            asked = self._spool.without_receipt() | set(self._posted) if ids is None else set(ids)
            missing = self._spool.without_receipt(asked)
            self._awaited.append(missing)
            try:
                self._link.changed.wait_for(lambda: not missing, timeout_s)
            finally:
                self._awaited = [one for one in self._awaited if one is not missing]
            if ids is None:
                self._posted.clear()
        return self._spool.fates(asked)

    def fate(self, id: str) -> SettledMessage | None:
        """What became of a message so far; None while no receipt has come, and some days after the last one."""
        return self._spool.fate(id)

    def unsettled(self) -> list[str]:
        """Ids of what has no final fate yet, oldest first."""
        return self._spool.unsettled()

    def ask(
        self,
        unit: str | UnitRef,
        step: str,
        parts: Iterable[Child] = (),
        after: Iterable[str] = (),
        *,
        timeout_s: float = ASK_S,
        at: datetime | None = None,
        id: str | None = None,
    ) -> StepAnswered | None:
        """May this step begin, with these parts? None when no answer comes in time.

        `after` are ids of messages that the answer must take into account. `at` is the time of the message (default
        now); `id` a name for it that is unique for ever: asked again under it, the answer is the same.
        """
        self._check_thread()
        until = time.monotonic() + timeout_s
        asked = self._wording.ask(unit_ref(unit), step, parts, after, at, id)
        with self._link.changed:
            self._asked[asked.id] = (asked, None)
            self._link.say(Said(asked.topic, asked.payload))
            self._link.changed.wait_for(lambda: self._asked[asked.id][1], max(0.0, until - time.monotonic()))
            return self._asked.pop(asked.id)[1]

    def permit(
        self,
        unit: str | UnitRef,
        step: str,
        parts: Iterable[Child] = (),
        after: Iterable[str] = (),
        *,
        timeout_s: float = ASK_S,
        on_no_answer: OnNoAnswer = "stop",
    ) -> Permit:
        """May this step begin, and how long does that hold? What no answer means is the caller's word: see `Permit`."""
        asked_at = time.monotonic()
        answer = self.ask(unit, step, parts, after, timeout_s=timeout_s)
        return Permit.of(answer, asked_at, on_no_answer)

    def run(self, unit: str | UnitRef, step: str, **how: Any) -> Run:
        """An attempt of a step, to be used with `with`: asks, starts, collects values, reports. See `Run`."""
        return Run(self, unit_ref(unit), step, **how)

    def follow(self, run: Run) -> None:
        """Tell this run when the MES wants it to end."""
        self._runs[run.name] = run

    def unfollow(self, run: Run) -> None:
        """The run has ended."""
        self._runs.pop(run.name, None)

    def greeting(self) -> list[Said]:
        """What is said first on a new connection: our status, and what was asked and not answered."""
        asks = [Said(asked.topic, asked.payload) for asked, answer in self._asked.values() if answer is None]
        return [self._status_said(), *asks] if self._says_status else asks

    def hear(self, topic: str, payload: bytes) -> None:
        """Take in what the MES said."""
        address = topics.parse(topic)
        for said in decode_answer(self.name, address.kind if address else "", payload):
            if not isinstance(said, Message):
                log.warning("what the MES said on %s can't be read: %s", topic, said.reasons)
            elif isinstance(said.data, StepAnswered):
                self._take_answer(said, said.data)
            elif isinstance(said.data, MessagesSettled):
                self._settle(said, said.data)
            elif isinstance(said.data, MessagesWanted):
                self._say_again(said.data)
            elif isinstance(said.data, RunStop):
                self._stop_run(said.data)

    def _take_answer(self, said: Message, answer: StepAnswered) -> None:
        self._clock.heard(said.time, datetime.now(UTC))
        with self._link.changed:
            if waiting := self._asked.get(answer.asked):  # nobody waits for one that comes too late
                self._asked[answer.asked] = (waiting[0], answer)
                self._link.changed.notify_all()

    def _settle(self, said: Message, receipts: MessagesSettled) -> None:
        self._clock.heard(said.time, datetime.now(UTC))
        settled = self._window.named(receipts.settled)
        ours = dict.fromkeys(self._spool.settle(settled, said.time))
        self._window.settled(ours, time.monotonic())
        tell_rejected(self._alarms, [one for one in settled if one.id in ours])
        if self._spool.held:
            tell_held(self._alarms, self._spool)
        elif self._spool.filled < EMPTIED:
            self._alarms.over("spool_filling", "spool_full")
        with self._link.changed:
            for missing in self._awaited:
                missing.difference_update(ours)
            self._link.changed.notify_all()

    def _say_again(self, wanted: MessagesWanted) -> None:
        count = self._spool.want(wanted.since, wanted.until)
        self._window.rewind()
        log.info("the MES wants %d messages again that were settled since %s", count, wanted.since)

    def _stop_run(self, stop: RunStop) -> None:
        if run := self._runs.get(stop.run or ""):
            run.stop(stop)
        if self._on_stop:
            self._on_stop(stop)

    def _keep(self, said: Sequence[Posted]) -> list[str]:
        try:
            self._spool.keep(said)
        except SpoolError as error:
            tell_spool(self._alarms, error)
            raise
        if self._spool.filled >= FILLING:
            self._alarms.give("spool_filling", f"The spool is {self._spool.filled:.0%} full.")
        self._link.wake()
        ids = [one.id for one in said]
        with self._link.changed:
            self._posted.extend(ids)
        return ids

    def _status_said(self) -> Said:
        said = self._wording.status(*self._status)
        return Said(said.topic, said.payload, retain=True)

    def _connect(self, listener: Listener) -> Connection:
        """A connection with a last will of its own."""
        will = self._wording.will() if self._says_status else None
        subscriptions = topics.station_subscriptions(self.name)
        return Connection(self._broker, self._client_id, self._mqtt, self._tls, will, subscriptions, listener)

    def _wait(self, true: Callable[[], bool], timeout_s: float) -> bool:
        self._check_thread()
        with self._link.changed:
            return self._link.changed.wait_for(true, max(0.0, timeout_s))

    def _check_thread(self) -> None:
        if self._link.is_me:
            raise RuntimeError("a callback of the station's network thread can't wait for the network")
