"""A station's line to the MES over MQTT.

    with Station("mqtt://127.0.0.1:1883", "ct-01") as station:
        answer = station.ask("CB-000123", "cable-test")
        if answer and answer.granted:
            station.start("CB-000123", "cable-test", run="ct-01-4711")
            ...
            station.report("CB-000123", "cable-test", started_at, ended_at, "pass", run="ct-01-4711", connections=[...])
            fates = station.await_receipts()

What is posted is kept until the MES's receipt comes and sent again after every reconnect: said twice, done once.
"""

import logging
import socket
import ssl
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from mes.formats.messages import (
    MESSAGE_MAX_BYTES,
    TYPES,
    Child,
    Message,
    MessagesSettled,
    MessagesWanted,
    RunStop,
    SettledMessage,
    StationStatus,
    StepAnswered,
    StepAsked,
    UnitRef,
    decode_answer,
    encode_event,
)
from mes.mqtt import topics
from stations.facts import Facts
from stations.spool import MemorySpool, Posted, Spool, without_fate

log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 30
RECONNECT_MAX_S: Final = 10
GOODBYE_S: Final = 2.0
ANSWERS_MAX: Final = 1000
"""Most answers that are remembered until someone asks for them."""

_KIND_OF: Final = {struct: (kind, name) for kind, types in TYPES.items() for name, struct in types.items()}


class TooLarge(ValueError):  # noqa: N818 - what the message is
    """A message is larger than the MES reads. A broker would take it and drop it silently."""


class Station(Facts):
    """One station. Use it with `with`; its methods may be called from any thread, and none of them waits for the
    broker but `connected`, `ask` and `await_receipts`.

    `url` is mqtt[s]://user:password@host:port. `on_stop` is called, from the network's thread, when the MES says that
    a running test should end.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        spool: Spool | None = None,
        message_max_bytes: int = MESSAGE_MAX_BYTES,
        on_stop: Callable[[RunStop], None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.source = f"stations/{name}"
        self._message_max_bytes = message_max_bytes
        self._on_stop = on_stop
        self._spool = spool or MemorySpool()
        self._answers: OrderedDict[str, StepAnswered] = OrderedDict()
        self._status: tuple[str, datetime, str | None] = ("idle", _now(), None)
        self._changed = threading.Condition()
        self._up = False
        self._client = self._make_client(url, ssl_context)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status = ("offline", _now(), None)  # also for a connection that comes back just now
        if self._up:
            said = self._say_status(*self._status)
            with suppress(ValueError, RuntimeError):
                said.wait_for_publish(GOODBYE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def connected(self, timeout_s: float = 10.0) -> bool:
        """Wait until the broker listens to us and we to it; False if it does not in time."""
        return self._wait(lambda: self._up, timeout_s)

    def status(self, state: str, reason: str | None = None) -> None:
        """Say what the station is doing: idle, running, down, offline."""
        with self._changed:  # or a connection that comes up just now would say it, too, instead of what was before
            self._status = (state, _now(), reason)
            if self._up:
                self._say_status(*self._status)

    def post(self, data: Struct, *, at: datetime | None = None, id: str | None = None) -> str:
        """Say a fact; its topic and type follow from `data`. Returns the message's id.

        `at` is the time of the message (default now); `id` a name for it that is unique for ever. Raises `TooLarge`,
        and `SpoolFull` when too much waits for receipts.
        """
        kind, type_ = _KIND_OF[type(data)]
        posted = Posted(id or str(uuid.uuid4()), topics.topic(self.name, kind), b"")
        posted = posted._replace(payload=self._encode(type_, posted.id, data, at or _now()))
        with self._changed:
            self._spool.keep(posted)
            if self._up:
                self._client.publish(posted.topic, posted.payload, qos=1)
        return posted.id

    def await_receipts(self, ids: Iterable[str] | None = None, *, timeout_s: float = 10.0) -> dict[str, SettledMessage]:
        """Wait for receipts of these messages (None: of all that have none) and return those that came, by id.

        A message may be `pending`: it is kept, and `fate` tells when it is settled.
        """
        with self._changed:
            wanted = [one.id for one in self._spool.unsettled()] if ids is None else list(ids)
            self._changed.wait_for(lambda: not without_fate(self._spool, wanted), timeout_s)
            return {one: fate for one in wanted if (fate := self._spool.fate(one))}

    def fate(self, id: str) -> SettledMessage | None:
        """What became of a message so far; None while no receipt has come."""
        with self._changed:
            return self._spool.fate(id)

    def unsettled(self) -> list[str]:
        """Ids of what has no final fate yet, oldest first."""
        with self._changed:
            return [one.id for one in self._spool.unsettled()]

    def ask(
        self,
        unit: str | UnitRef,
        step: str,
        parts: Iterable[Child] = (),
        after: Iterable[str] = (),
        *,
        timeout_s: float = 5.0,
    ) -> StepAnswered | None:
        """May this step begin, with these parts? None when no answer comes in time.

        `after` are ids of messages that the answer must take into account.
        """
        id = str(uuid.uuid4())
        data = StepAsked(unit if isinstance(unit, UnitRef) else UnitRef(unit), step, tuple(parts), tuple(after))
        payload = self._encode("mes.step.asked", id, data, _now())
        until = time.monotonic() + timeout_s
        if not self.connected(timeout_s):
            return None
        self._client.publish(topics.topic(self.name, topics.ASK), payload, qos=1)
        self._wait(lambda: id in self._answers, until - time.monotonic())
        with self._changed:
            return self._answers.pop(id, None)

    def _wait(self, true: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(true, max(0.0, timeout_s))

    def _encode(self, type_: str, id: str, data: Struct, at: datetime) -> bytes:
        payload = encode_event(type_, self.source, id, at, data)
        if len(payload) > self._message_max_bytes:
            raise TooLarge(f"the message has {len(payload)} bytes; {self._message_max_bytes} are allowed")
        return payload

    def _make_client(self, url: str, ssl_context: ssl.SSLContext | None) -> paho.Client:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("a broker's address is mqtt://host:port or mqtts://host:port")
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"station-{self.name}",
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set_context(ssl_context or ssl.create_default_context())
        client.reconnect_delay_set(1, RECONNECT_MAX_S)
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        self._write_will(client)
        client.connect_async(parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883), KEEPALIVE_S)
        return client

    def _write_will(self, client: paho.Client) -> None:
        """What the broker says for us should the connection break: for each connection a message of its own."""
        at = _now()
        will = StationStatus("offline", at, "the connection broke", will=True)
        payload = encode_event("mes.station.status", self.source, str(uuid.uuid4()), at, will)
        client.will_set(topics.topic(self.name, topics.STATUS), payload, qos=1, retain=True)

    def _say_status(self, state: Any, since: datetime, reason: str | None) -> paho.MQTTMessageInfo:
        data = StationStatus(state, since, reason)
        payload = self._encode("mes.station.status", str(uuid.uuid4()), data, _now())
        return self._client.publish(topics.topic(self.name, topics.STATUS), payload, qos=1, retain=True)

    def _on_connect(self, client: paho.Client, _u: Any, _flags: Any, code: Any, _p: Any) -> None:
        if code.is_failure:
            log.error("the broker refuses %s: %s", self.name, code)
        else:
            client.subscribe([(topic, 1) for topic in topics.station_subscriptions(self.name)])

    def _on_subscribe(self, client: paho.Client, _u: Any, _mid: int, _codes: Any, _p: Any) -> None:
        """Now receipts will be heard: say again what had none."""
        with self._changed:
            self._up = True
            for posted in self._spool.unsettled():
                client.publish(posted.topic, posted.payload, qos=1)
            self._say_status(*self._status)
            self._changed.notify_all()

    def _on_disconnect(self, client: paho.Client, _u: Any, _flags: Any, code: Any, _p: Any) -> None:
        with self._changed:
            self._up = False
        self._write_will(client)

    def _on_message(self, client: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        """Only hands over. An error here would end the network's thread silently."""
        try:
            self._hear(message)
        except Exception:
            log.exception("what the MES said on %s could not be taken in", message.topic)

    def _hear(self, message: paho.MQTTMessage) -> None:
        address = topics.parse(message.topic)
        for said in decode_answer(self.name, address.kind if address else "", bytes(message.payload)):
            if not isinstance(said, Message):
                log.warning("what the MES said on %s can't be read: %s", message.topic, said.reasons)
            elif isinstance(said.data, StepAnswered):
                self._take_answer(said.data)
            elif isinstance(said.data, MessagesSettled):
                self._settle(said.data)
            elif isinstance(said.data, MessagesWanted):
                self._say_again(said.data)
            elif isinstance(said.data, RunStop) and self._on_stop:
                self._on_stop(said.data)

    def _take_answer(self, answer: StepAnswered) -> None:
        with self._changed:
            self._answers[answer.asked] = answer
            while len(self._answers) > ANSWERS_MAX:
                self._answers.popitem(last=False)
            self._changed.notify_all()

    def _settle(self, receipts: MessagesSettled) -> None:
        at = _now()
        with self._changed:
            for one in receipts.settled:
                self._spool.settle(one, at)
            self._changed.notify_all()

    def _say_again(self, wanted: MessagesWanted) -> None:
        with self._changed:
            for posted in self._spool.settled_between(wanted.since, wanted.until):
                if self._client.publish(posted.topic, posted.payload, qos=1).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return


def _without_delay(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    """Small messages go at once: otherwise an answer takes 80 ms longer."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _now() -> datetime:
    return datetime.now(UTC)
