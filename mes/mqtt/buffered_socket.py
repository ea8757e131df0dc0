"""A socket between paho and the event loop that reads ahead and writes behind.

paho asks for a byte at a time and writes packet by packet; a system call for each would cost three times what all
the rest of the transport does. Here one `recv` brings what has come, and one `send` takes what piled up.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

READ_BYTES: Final = 256 * 1024
"""Most that is read at once, and so about the most that is read ahead of the queue's limit, in bytes."""

_WAIT = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BufferedSocket:
    """One connection. `on_data` is called when there is something for `recv`, the end of the connection included."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, on_data: Callable[[], None]) -> None:
        self._sock = sock
        self._loop = loop
        self._on_data = on_data
        self._ahead = b""
        self._at = 0
        self._ended = False
        self._wants_more = False
        self._behind = bytearray()
        self._flushing = False
        self._closed = False
        self._reading = False
        self.paused = False

    def start(self) -> None:
        """Begins to read."""
        if not self._reading and not self._closed:
            self._loop.add_reader(self._sock, self._fill)
            self._reading = True

    def pause(self) -> None:
        """Gives nothing more out and reads nothing more, so that the broker feels it."""
        self.paused = True
        if self._reading:
            self._loop.remove_reader(self._sock)
            self._reading = False

    def resume(self) -> None:
        """Takes up reading where it was left, with what was read ahead first."""
        self.paused = False
        self.start()

    @property
    def readable(self) -> bool:
        """Whether `recv` would give something now."""
        has_some = self._at < len(self._ahead) and not self._wants_more
        return not self.paused and not self._closed and (has_some or self._ended)

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes, nothing at the end of the connection. Raises BlockingIOError when there is none yet."""
        if self.paused:
            raise BlockingIOError
        if self._at < len(self._ahead):
            piece = self._ahead[self._at : self._at + size]
            self._at += len(piece)
            return piece
        if self._ended:
            return b""
        raise BlockingIOError

    def ahead(self) -> tuple[bytes, int]:
        """What was read ahead, and from where on nobody has taken it yet."""
        return self._ahead, self._at

    def take_to(self, at: int) -> None:
        """What was read ahead is taken up to a place."""
        self._at = at

    def wait_for_more(self) -> bool:
        """Keeps what was read ahead until more has come behind it; False if no more can come."""
        self._wants_more = not self._ended
        return self._wants_more

    def send(self, data: bytes | bytearray) -> int:
        """Takes all of it, to be sent when the loop comes round."""
        if self._closed:
            raise ConnectionError("the connection is closed")
        self._behind += data
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return len(data)

    def abort(self) -> None:
        """Lets the connection end as if the broker had gone; what was read ahead is forgotten."""
        self._ahead, self._at, self._ended, self.paused = b"", 0, True, False
        self._on_data()

    def close(self) -> None:
        """Ends the connection, with a last try to send what waits."""
        if self._closed:
            return
        with suppress(OSError):
            self._sock.send(self._behind)
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def _fill(self) -> None:
        if (
            self._at < len(self._ahead) and not self._wants_more
        ):  # what is there comes first; level-triggered, so the loop calls again
            self._on_data()
            return
        try:
            data = self._sock.recv(READ_BYTES)
            while isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                data += self._sock.recv(READ_BYTES)
        except _WAIT:
            return
        except OSError:
            data = b""
        self._ended = not data
        self._ahead, self._at, self._wants_more = self._ahead[self._at :] + data, 0, False
        self._on_data()

    def _flush(self) -> None:
        self._flushing = False
        if self._closed:
            return
        try:
            while self._behind:
                sent = self._sock.send(self._behind)
                del self._behind[:sent]
        except _WAIT:
            self._flushing = True
            self._loop.add_writer(self._sock, self._flush)
            return
        except OSError:
            self._behind.clear()
            self._ended = True
            self._loop.call_soon(self._on_data)
        self._loop.remove_writer(self._sock)
