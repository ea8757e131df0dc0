"""A network that can be cut, that delays, and that delivers twice: a TCP proxy that knows packets of MQTT."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

PUBLISH: Final = 3
READ_BYTES: Final = 64 * 1024


class Proxy:
    """Between whoever connects here and a broker's port. Use it with `async with`; `port` is where it listens.

    `double` is how likely a message is delivered twice, to the broker or from it; `delay_s` how long any piece may
    be held up. With `cut_after` the connection is cut each time so many messages came from the broker over it.
    """

    def __init__(self, target: int, *, double: float = 0.0, delay_s: float = 0.0, cut_after: int | None = None) -> None:
        self.target = target
        self.cuts = self.doubled = 0
        self._double = double
        self._delay_s = delay_s
        self.cut_after = cut_after
        self._random = random.Random(target)
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._close()

    def cut(self) -> None:
        """End every connection, in the middle of whatever is on its way."""
        self.cuts += bool(self._open)
        self._close()

    def _close(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        there_and_back = [
            asyncio.create_task(self._pass(reader, back)),
            asyncio.create_task(self._pass(there, writer, self._count(self.cut_after))),
        ]
        await asyncio.wait(there_and_back, return_when=asyncio.FIRST_COMPLETED)
        for task in there_and_back:
            task.cancel()
        await asyncio.gather(*there_and_back, return_exceptions=True)  # how a connection ends says nothing
        for one in (writer, back):
            self._open.discard(one)
            one.transport.abort()

    def _count(self, cut_after: int | None) -> Callable[[], None] | None:
        if cut_after is None:
            return None
        left = cut_after

        def one_more() -> None:
            nonlocal left
            left -= 1
            if left == 0 and self.cut_after is not None:
                asyncio.get_running_loop().call_later(self._random.random() / 100, self.cut)

        return one_more

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Callable[[], None] | None = None
    ) -> None:
        """Pass on packet by packet, some of them twice."""
        held = b""
        while some := await reader.read(READ_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._random.random() * self._delay_s)
            held += some
            while not writer.is_closing() and (packet := _first(held)):
                held = held[len(packet) :]
                writer.write(packet)
                if packet[0] >> 4 == PUBLISH:
                    if seen:
                        seen()
                    if self._random.random() < self._double and packet[0] & 6:
                        self.doubled += 1
                        writer.write(bytes([packet[0] | 8]) + packet[1:])
            await writer.drain()


def _first(data: bytes) -> bytes:
    """The first whole packet; nothing if it is not all there."""
    length, shift = 0, 0
    for at, byte in enumerate(data[1:5], 1):
        length |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return data[: at + 1 + length] if len(data) > at + length else b""
    return b""
