"""One persistent MQTT session, kept up: paho-mqtt driven by the event loop.

No thread: the loop watches the socket, paho takes packets apart and calls back. It connects, says what it listens
to, pings, and comes back with growing pauses when the connection ends. What is done with messages is not its business.
"""

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mes.mqtt import packets
from mes.mqtt.address import parse_url
from mes.mqtt.buffered_socket import BufferedSocket
from mes.mqtt.packets import Published

log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 60
CONNECT_TIMEOUT_S: Final = 10.0
GREETING_TIMEOUT_S: Final = 3.0
RECONNECT_MIN_S: Final = 0.1
RECONNECT_MAX_S: Final = 15.0
PUBLISH_QUEUE_MAX_MESSAGES: Final = 10_000
NEWEST_FIRST: Final = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)
_PING: Final = b"\xc0\x00"
_NEVER: Final = 0xFFFFFFFF
_UNSUPPORTED_VERSION: Final = 0x84


class _Client(paho.Client):
    """paho over a socket that was connected for it, so that connecting never blocks the loop."""

    connected_socket: BufferedSocket

    def _create_socket(self) -> Any:
        return self.connected_socket

    @property
    def is_between_packets(self) -> bool:
        """Whether what comes next begins a packet."""
        return bool(self._in_packet["command"] == 0)


class Session:
    """The session of one client id at a broker. `on_message` and `on_lost` are called from the event loop.

    `connection` counts connections, so that an acknowledgement can be kept to the one its message came over.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        subscriptions: Sequence[str],
        on_message: Callable[[Published], None],
        on_lost: Callable[[], None],
        protocols: Sequence[MQTTProtocolVersion] = NEWEST_FIRST,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._broker = parse_url(url)
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._on_message = on_message
        self._on_lost = on_lost
        self._protocols = deque(protocols)
        self._ssl_context = ssl_context
        self._client: _Client | None = None
        self._socket: BufferedSocket | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._decided = asyncio.Event()
        self._welcomed = False
        self._understood = False
        self._closing = False
        self._pause_s = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self.connection = 0

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The version of MQTT that is spoken, or tried next."""
        return self._protocols[0]

    @property
    def is_up(self) -> bool:
        """Whether the broker has welcomed us and knows what we listen to."""
        return self._up.is_set()

    async def connected(self) -> None:
        """Waits until it is up."""
        await self._up.wait()

    def start(self) -> None:
        """Begins to connect; from within the event loop."""
        self._keeper = asyncio.create_task(self._keep_connected(), name=f"mqtt {self._client_id}")

    def ack(self, mids: Iterable[int]) -> None:
        """Acknowledges messages of QoS 1 of the present connection, in order."""
        if self._socket is not None and self._welcomed:
            with suppress(ConnectionError):
                self._socket.send(packets.pubacks(mids))

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, correlation: bytes | None = None
    ) -> bool:
        """Hands a message over for sending, now or when the broker is back. False when too many wait already."""
        if self._client is None:
            return False
        properties = None
        if correlation is not None and self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        return self._client.publish(topic, payload, qos, retain, properties).rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE

    def drop(self, pause_s: float = 0.0) -> None:
        """Ends the connection with all that is unacknowledged, to come back after `pause_s` seconds."""
        self._pause_s = pause_s
        if self._socket is not None:
            self._socket.abort()

    @property
    def paused(self) -> bool:
        """Whether reading is stopped."""
        return self._socket is not None and self._socket.paused

    def pause(self) -> None:
        """Stops reading; pings go on."""
        if self._socket is not None:
            self._socket.pause()

    def resume(self) -> None:
        """Reads again."""
        if self._socket is not None:
            self._socket.resume()
            asyncio.get_running_loop().call_soon(self._pump)

    async def close(self) -> None:
        """Says goodbye. The session stays at the broker and keeps what comes in the meantime."""
        self._closing = True
        if self._client is not None and self._welcomed:
            self._client.disconnect()
            self._write()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._socket is not None:
            self._socket.close()

    async def _keep_connected(self) -> None:
        delay = RECONNECT_MIN_S
        while not self._closing:
            try:
                await self._connect()
                delay = RECONNECT_MIN_S
                await self._stay()
            except (OSError, TimeoutError) as error:
                host, port = self._broker.host, self._broker.port
                log.warning("no connection to the broker at %s:%d: %s; trying again", host, port, error or "no answer")
                self._end()
                delay = min(delay * 2, RECONNECT_MAX_S)
            await asyncio.sleep(max(delay, self._pause_s))
            self._pause_s = 0.0

    async def _connect(self) -> None:
        """Connects and waits for the welcome. Raises OSError or TimeoutError."""
        loop = asyncio.get_running_loop()
        plain = await asyncio.to_thread(self._open)
        if self._client is None or self._client.protocol != self.protocol:
            self._client = self._make_client(self.protocol)
        self._socket = self._client.connected_socket = BufferedSocket(plain, loop, self._pump)
        self.connection += 1
        self._lost.clear()
        self._decided.clear()
        self._client.reconnect()
        self._socket.start()
        patience_s = CONNECT_TIMEOUT_S if self._understood or len(self._protocols) == 1 else GREETING_TIMEOUT_S
        with suppress(TimeoutError):
            await asyncio.wait_for(self._decided.wait(), patience_s)
        if not self._welcomed and not self._closing:
            if not self._understood:  # perhaps it doesn't know this version of MQTT
                self._protocols.rotate(-1)
            raise ConnectionError("it did not let us in")

    def _open(self) -> socket.socket:
        host = self._broker.host
        plain = socket.create_connection((host, self._broker.port), timeout=CONNECT_TIMEOUT_S)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._broker.tls:
                context = self._ssl_context or ssl.create_default_context()
                plain = context.wrap_socket(plain, server_hostname=host)
            plain.setblocking(False)
        except OSError:
            plain.close()
            raise
        return plain

    async def _stay(self) -> None:
        """Returns when the connection is lost."""
        pinged = 0.0
        while not self._lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), 1.0)
            if self._client is None or self._socket is None or self._lost.is_set():
                return
            now = asyncio.get_running_loop().time()
            if not self._socket.paused:
                self._client.loop_misc()
            elif now - pinged > KEEPALIVE_S / 2:  # paho would wait for an answer that we don't read now
                self._socket.send(_PING)
                pinged = now

    def _make_client(self, protocol: MQTTProtocolVersion) -> _Client:
        is_5 = protocol == MQTTProtocolVersion.MQTTv5
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if is_5 else False,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_queued_messages_set(PUBLISH_QUEUE_MAX_MESSAGES)
        client.username_pw_set(self._broker.user, self._broker.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = lambda _client, _userdata, message: self._on_message(packets.from_paho(message))
        client.on_socket_register_write = self._on_want_write
        if is_5:
            session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            session.SessionExpiryInterval = _NEVER
            client.connect_async(
                self._broker.host, self._broker.port, KEEPALIVE_S, clean_start=False, properties=session
            )
        else:
            client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        return client

    def _on_connect(self, client: paho.Client, _u: Any, flags: paho.ConnectFlags, code: ReasonCode, _p: Any) -> None:
        if code.is_failure:
            self._understood = self._understood or code.value != _UNSUPPORTED_VERSION
            log.error("the broker refuses us: %s", code)
            return
        self._understood = self._welcomed = True
        self._decided.set()
        if self._subscriptions:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        if flags.session_present or not self._subscriptions:
            self._up.set()  # its answer comes behind all that waited for us, perhaps more than we read at once

    def _on_subscribe(self, _c: paho.Client, _u: Any, _mid: int, codes: list[ReasonCode], _p: Any) -> None:
        for topic, code in zip(self._subscriptions, codes, strict=False):
            if code.is_failure:
                log.error("the broker refuses the subscription to %s: %s", topic, code)
        self._up.set()

    def _on_disconnect(self, _c: paho.Client, _u: Any, _flags: Any, code: ReasonCode, _p: Any) -> None:
        if not self._closing:
            log.warning("the connection to the broker ended: %s", code)
        self._end()

    def _on_want_write(self, _c: paho.Client, _u: Any, _sock: Any) -> None:
        asyncio.get_running_loop().call_soon(self._write)

    def _pump(self) -> None:
        """Takes apart what has come: whole messages at once, all else by paho."""
        try:
            while self._client is not None and self._socket is not None and self._socket.readable:
                if self._client.is_between_packets:
                    if self._take_messages(self._socket):
                        continue
                    if packets.is_cut(*self._socket.ahead()) and self._socket.wait_for_more():
                        return
                if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
        except Exception:
            log.exception("what the broker sent can't be taken apart; connecting anew")
            self._end()

    def _take_messages(self, socket: BufferedSocket) -> bool:
        """Hands over the messages that have come as a whole; whether there was any."""
        is_5 = self.protocol == MQTTProtocolVersion.MQTTv5
        data, start = socket.ahead()
        at = start
        while at < len(data) and not socket.paused and (found := packets.published(data, at, is_5=is_5)):
            message, at = found
            socket.take_to(at)
            self._on_message(message)
        return at > start

    def _write(self) -> None:
        if self._client is not None:
            self._client.loop_write()

    def _end(self) -> None:
        """After a connection: what it delivered will be delivered again."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._welcomed = False
        self._up.clear()
        self._on_lost()
        self._lost.set()
        self._decided.set()
