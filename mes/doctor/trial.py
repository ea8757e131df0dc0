"""A client for trying a broker out: MQTT 3.1.1, which every broker speaks, and nothing of it stays at the broker."""

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from mes.mqtt.address import Broker

PATIENCE_S: Final = 10.0
QUIET_S: Final = 5.0
"""Where nothing came for so long, nothing more is waited for."""
BROKE_OFF: Final = "it broke off"


class Refused(Exception):  # noqa: N818 - what the broker did
    """The broker did not let us in, or did not answer in time. Its cause is the network's error, where it was one."""


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself where the other side is not trusted; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Trial:
    """One connection. What arrives is in `received`, as (topic, payload), in order; `lost` once it has ended."""

    def __init__(self, broker: Broker, client_id: str, *, clean: bool, will: str | None = None) -> None:
        self._broker = broker
        self._changed = threading.Condition()
        self._refusal: str | None = None
        self._up = False
        self._granted = 0
        self.received: list[tuple[str, bytes]] = []
        self.resumed = self.lost = False
        self.connect_s = 0.0
        self._client = self._make_client(client_id, clean, will)

    def connect(self) -> None:
        """Be let in. Raises Refused."""
        begun = time.monotonic()
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise Refused(f"{error or type(error).__name__}") from error
        self.connect_s = time.monotonic() - begun
        self._client.loop_start()
        self.wait(lambda: self._up or self.lost or self._refusal is not None)
        if not self._up:
            self.close()
            raise Refused(self._refusal or (BROKE_OFF if self.lost else "it did not answer"))

    def subscribe(self, *topics: str) -> None:
        """Listen, at QoS 1; returns when the broker has said so. Raises Refused."""
        before = self._granted
        self._client.subscribe([(topic, 1) for topic in topics])
        self.wait(lambda: self._granted > before or self.lost)
        if self._granted == before:
            raise Refused(BROKE_OFF if self.lost else "it did not answer a subscription")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Say something at QoS 1; whether the broker acknowledged it, in time and before it broke off."""
        return self.publish_all(topic, [payload], retain=retain)

    def publish_all(self, topic: str, payloads: list[bytes], *, retain: bool = False) -> bool:
        """Say several things; whether the broker acknowledged all of them. It may take long, but must go on."""
        said = deque(self._client.publish(topic, payload, qos=1, retain=retain) for payload in payloads)
        while said and self.wait(lambda: self.lost or said[0].is_published()) and not self.lost:
            said.popleft()
        return not said

    def say(self, topic: str, payload: bytes) -> None:
        """Say something at QoS 1, without waiting for anything."""
        self._client.publish(topic, payload, qos=1)

    def wait(self, until: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
        """Wait until something is so; whether it came so in time."""
        with self._changed:
            return self._changed.wait_for(until, within_s)

    def wait_for_count(self, count: int, within_s: float = 3 * PATIENCE_S) -> int:
        """Wait until so many messages came, or until it has gone quiet; how many are there."""
        deadline = time.monotonic() + within_s
        while (seen := len(self.received)) < count and time.monotonic() < deadline:
            if not self.wait(partial(self._came_after, seen), QUIET_S):
                break
        return len(self.received)

    def _came_after(self, seen: int) -> bool:
        return len(self.received) > seen

    def break_off(self) -> None:
        """End the connection as a crash does: without a goodbye, so that the broker speaks the last will."""
        own: Any = self._client.socket()
        if own is not None:
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self, client_id: str, clean: bool, will: str | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_queued_messages_set(0)
        client.connect_timeout = PATIENCE_S
        client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            context = ssl.create_default_context()
            context.sslsocket_class = _ClosingSocket
            client.tls_set_context(context)
        if will is not None:
            client.will_set(will, EMPTY_BATCH, qos=1)
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, _c: paho.Client, _u: Any, flags: paho.ConnectFlags, code: Any, _p: Any) -> None:
        with self._changed:
            self.resumed = flags.session_present
            if code.is_failure:
                self._refusal = str(code)
            else:
                self._up = True
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            self.lost = True
            self._changed.notify_all()

    def _on_publish(self, *_: Any) -> None:
        with self._changed:
            self._changed.notify_all()

    def _on_subscribe(self, _c: paho.Client, _u: Any, _mid: int, _codes: Any, _p: Any) -> None:
        with self._changed:
            self._granted += 1
            self._changed.notify_all()

    def _on_message(self, _c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.received.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


EMPTY_BATCH: Final = b"[]"
"""A batch of no messages: whoever reads it, nothing follows from it."""


@contextmanager
def connected(broker: Broker, client_id: str, *, clean: bool = True, will: str | None = None) -> Iterator[Trial]:
    """A connection for as long as the block lasts. Raises Refused."""
    trial = Trial(broker, client_id, clean=clean, will=will)
    trial.connect()
    try:
        yield trial
    finally:
        trial.close()


def _without_delay(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
