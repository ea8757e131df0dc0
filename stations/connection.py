"""One connection to a broker, from CONNECT to its end. The next one is a new object: nothing of an old one comes back.

One thread makes it and runs it; only `wake` may be called from others.
"""

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, get_args
from urllib.parse import unquote, urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from stations.spool import Posted

MqttVersion: TypeAlias = Literal["3.1.1", "5"]

KEEPALIVE_S: Final = 30
CONNECT_S: Final = 10.0
"""Longest wait for the broker's welcome."""
TURN_S: Final = 0.5
"""How long the connection sleeps at most before it looks what else is due."""
RECEIVE_MAX: Final = 65_535
"""Unacknowledged messages that a broker takes which does not say how many it takes."""
_DATED: Final = (9, 10)
"""OpenSSL's codes for a certificate that is not valid yet, or not any more: by a clock that may be wrong."""
PACKET_HEAD_BYTES: Final = 128
"""What a publish adds to its payload beside the topic."""


class BrokerUrl(NamedTuple):
    """Where a broker is and how to be let in."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool


def parse_url(url: str, user: str | None = None, password: str | None = None, *, for_tls: bool = False) -> BrokerUrl:
    """What `mqtt[s]://user:password@host:port` names; a user given apart goes before. Raises ValueError, also for an
    address without TLS where whoever gives it has certificates `for_tls`: the password would be sent in clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError("a broker's address is mqtt://host:port or mqtts://host:port")
    tls = parts.scheme == "mqtts"
    if for_tls and not tls:
        raise ValueError("certificates are given, and mqtt:// does not encrypt: write mqtts:// in the broker's address")
    if user is None and parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    return BrokerUrl(parts.hostname, parts.port or (8883 if tls else 1883), user, password, tls)


def known_version(mqtt: MqttVersion) -> MqttVersion:
    """The version of MQTT, if it is one that we speak. Raises ValueError."""
    if mqtt not in get_args(MqttVersion):
        raise ValueError(f"mqtt: {mqtt!r} is none of {', '.join(get_args(MqttVersion))}")
    return mqtt


def in_words(error: OSError) -> str:
    """Why a broker can't be reached, in a sentence for people."""
    if isinstance(error, socket.gaierror):
        return f"its name is not known here ({error.strerror})."
    if isinstance(error, ssl.SSLError):
        return f"what listens there does not speak TLS as we do ({error.reason or error}): is mqtts:// right?"
    told = error.strerror or str(error)
    return told if told.endswith("?") else f"{told}."


class RefusedError(Exception):
    """The broker is there and does not let us in, or not listen to what is ours."""


class Listener(Protocol):
    """Whose connection it is. Called from the thread that runs it."""

    def on_up(self) -> None:
        """The broker listens to us and we to it."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Something was said to us. Must not raise."""

    def on_turn(self) -> None:
        """Whenever something happened, and now and then: publish what is due."""


class Connection:
    """A connection; should it break, the broker says the `will`. `take_max` unacknowledged messages and `payload_max`
    bytes in one are what the broker takes.
    """

    def __init__(
        self,
        broker: BrokerUrl,
        client_id: str,
        version: MqttVersion,
        tls: ssl.SSLContext | None,
        will: Posted | None,
        subscriptions: Sequence[str],
        listener: Listener,
    ) -> None:
        self.take_max = RECEIVE_MAX
        self.payload_max: int | None = None
        self.up = self.was_up = False
        self.where = f"{broker.host}:{broker.port}"
        self._broker = broker
        self._tls = tls
        self._version = version
        self._subscriptions = subscriptions
        self._listener = listener
        self._refused: str | None = None
        self._ended: str | None = None
        self._unacknowledged: set[int] = set()
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self._client = self._make_client(client_id, will)

    @property
    def room(self) -> int:
        """How many messages the broker takes now."""
        return self.take_max - len(self._unacknowledged) if self.up else 0

    @property
    def drained(self) -> bool:
        """Whether everything that was published is acknowledged by the broker."""
        return not self._unacknowledged

    @property
    def ended(self) -> str:
        """How the connection ended, in the broker's words or the network's."""
        told = (self._ended or "").rstrip(".").lower()
        return "without a word" if told in ("", "unspecified error") else told

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the network, QoS 1."""
        self._unacknowledged.add(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    def wake(self) -> None:
        """Let `on_turn` be called now. From any thread."""
        with suppress(OSError):  # it rings already, or is over
            self._ring.send(b"!")

    def run(self, stop: Any) -> None:
        """Connect and live until the connection breaks or `stop()` is true. Raises OSError and `RefusedError`."""
        try:
            self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
            with selectors.DefaultSelector() as selector:
                selector.register(self._bell, selectors.EVENT_READ)
                self._live(selector, stop)
        finally:
            self.up = False
            self._client.disconnect()
            if self._client.want_write():
                self._client.loop_write()
            sock = self._client.socket()
            if sock is not None:
                sock.close()
            self._bell.close()
            self._ring.close()

    def _live(self, selector: selectors.BaseSelector, stop: Any) -> None:
        sock: Any = self._client.socket()
        watched = selectors.EVENT_READ
        welcome_until = time.monotonic() + CONNECT_S
        selector.register(sock, watched)
        while self._ended is None and not stop():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
            if wanted != watched:
                selector.modify(sock, wanted)
                watched = wanted
            buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            ready = {key.fileobj: event for key, event in selector.select(0 if buffered else TURN_S)}
            if self._bell in ready:
                self._silence()
            if buffered or ready.get(sock, 0) & selectors.EVENT_READ:
                self._go_on(self._client.loop_read())
            self._go_on(self._client.loop_misc())
            if self.up:
                self._listener.on_turn()
            elif time.monotonic() > welcome_until:
                self._refuse(f"it says nothing for {CONNECT_S:.0f} s")
            if self._ended is None and self._client.want_write():
                self._go_on(self._client.loop_write())
        if self._refused:
            raise RefusedError(self._refused)
        if self._ended is not None and not self.was_up:
            scheme = "mqtts" if self._broker.tls else "mqtt"
            raise ConnectionError(
                "what listens there ended the connection before it let us in "
                f"({self.ended}): is it a broker, and is {scheme}:// right?"
            )

    def _go_on(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and self._ended is None:
            self._ended = paho.error_string(code)

    def _silence(self) -> None:
        with suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass

    def _open_socket(self) -> socket.socket:
        """A connected socket. Raises OSError; `RefusedError` for a broker that is not the one it should be."""
        sock = socket.create_connection((self._broker.host, self._broker.port), CONNECT_S)
        # Small messages go at once: otherwise an answer takes 80 ms longer.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._broker.tls:
            return sock
        try:
            context = self._tls or ssl.create_default_context()
            return context.wrap_socket(sock, server_hostname=self._broker.host)
        except ssl.SSLCertVerificationError as error:
            clock = f"; this computer's clock says {datetime.now(UTC):%F %T} UTC" if error.verify_code in _DATED else ""
            raise RefusedError(f"its certificate is not to be trusted: {error.verify_message}{clock}") from error
        except BaseException:
            sock.close()
            raise

    def _make_client(self, client_id: str, will: Posted | None) -> paho.Client:
        five = self._version == "5"
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.opened = self._open_socket
        client.max_inflight_messages = 0  # how many are on their way is decided by whoever publishes
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        if will:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_socket_register_write = _only_queue
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: paho.Client, _u: Any, _flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._refuse(f"it answers: {code}")
            return
        self.take_max = getattr(properties, "ReceiveMaximum", None) or RECEIVE_MAX
        if packet_max := getattr(properties, "MaximumPacketSize", None):
            self.payload_max = packet_max - PACKET_HEAD_BYTES - max(len(topic) for topic in self._subscriptions)
        client.subscribe([(topic, 1) for topic in self._subscriptions])

    def _on_subscribe(self, _client: paho.Client, _u: Any, _mid: int, codes: Any, _p: Any) -> None:
        refused = [topic for topic, code in zip(self._subscriptions, codes, strict=False) if code.is_failure]
        if refused:
            self._refuse(f"it lets us not listen to {', '.join(refused)}")
            return
        self.up = self.was_up = True
        self._listener.on_up()

    def _on_disconnect(self, _client: paho.Client, _u: Any, _flags: Any, code: Any, _p: Any) -> None:
        self._ended = str(code)

    def _on_publish(self, _client: paho.Client, _u: Any, mid: int, code: Any, _p: Any) -> None:
        self._unacknowledged.discard(mid)
        if code is not None and code.is_failure:
            self._refuse(f"it does not take what we say: {code}")

    def _on_message(self, _client: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        self._listener.on_message(message.topic, bytes(message.payload))

    def _refuse(self, why: str) -> None:
        self._refused = self._ended = why


class _Client(paho.Client):
    """paho, with a socket that is ours: its own leaves one open when a handshake fails."""

    opened: Callable[[], socket.socket]

    def _create_socket(self) -> socket.socket:
        return self.opened()


def _only_queue(_client: paho.Client, _userdata: Any, _sock: Any) -> None:
    """That it is there makes paho leave the writing to us, and so write much at once."""
