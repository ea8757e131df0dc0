"""Several processes that settle what one process reads: each its share of the units, so each unit's order is kept.

The reader holds the connection to the broker; what it takes is divided by the unit that a message names first, handed
over on a socket, and acknowledged once every share has been committed. How many there are is nobody's state: it may
change with every start. They live and die together: when one ends, the reader ends too, and what none of them had
finished is delivered again to their successors.
"""

import asyncio
import re
import socket
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from itertools import chain
from struct import Struct
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from mes.mqtt.bridge import Delivery
from mes.mqtt.consumer import Done, Here

IN_HAND_MAX: Final = 3
"""Most batches that are being settled at the same time: while one is divided, each process still has work."""
READY_S: Final = 30.0
STOP_S: Final = 10.0
_READ_AHEAD_BYTES: Final = 4 * 1024 * 1024
_READY: Final = b"ready"
_LENGTH: Final = Struct(">I")
_pack = msgspec.msgpack.Encoder().encode
_NAMED: Final = re.compile(rb'"(?:unit|parent|serial)"\s*:\s*"([^"]*)"').search

T = TypeVar("T")


class CrewEndedError(Exception):
    """One of the processes ended; the text says which and how."""


class Part(NamedTuple):
    """A delivery as it is handed over."""

    topic: str
    payload: bytes
    properties: Mapping[str, str] | None
    content_type: str | None


class Share(NamedTuple):
    """One process's share of a batch that arrived at a moment."""

    number: int
    at: datetime
    parts: Sequence[Part]


class Answer(NamedTuple):
    """What came of a share; None: it has to come again."""

    number: int
    done: Done | None


def share_of(topic: str, payload: bytes, shares: int) -> int:
    """Whose a message is: decided by the first unit that its bytes name, or by its topic if they name none.

    Nothing rests on its being right but the order of one unit's facts, which the record mends when they come late.
    """
    named = _NAMED(payload)
    return crc32(named.group(1) if named else topic.encode()) % shares


class Member:
    """One process of the crew: what it was asked and has not answered yet."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self._writer = writer
        self._asked: dict[int, asyncio.Future[Done | None]] = {}
        self.reading = asyncio.create_task(self._read(reader))

    def ask(self, share: Share) -> "asyncio.Future[Done | None]":
        """Hand a share over, behind those that it has."""
        answered: asyncio.Future[Done | None] = asyncio.get_running_loop().create_future()
        if self.reading.done():
            answered.set_result(None)
        else:
            self._asked[share.number] = answered
            _send(self._writer, share)
        return answered

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for answer in _received(reader, Answer):
            self._answer(answer.number, answer.done)
        for number in list(self._asked):
            self._answer(number, None)

    def _answer(self, number: int, done: Done | None) -> None:
        answered = self._asked.pop(number)
        if not answered.done():  # who asked may have stopped waiting
            answered.set_result(done)

    async def stop(self) -> None:
        """Let it finish what it has; it ends when nothing more can come."""
        self._writer.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class Crew:
    """The processes at work, as the reader sees them: `take` stands where `consumer.here` would."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._number = 0

    async def take(self, batch: Sequence[Delivery], at: datetime) -> Done | None:
        """Divide a batch; what came of all of it, or None if a part of it has to come again."""
        self._number += 1
        shares: list[list[Part]] = [[] for _ in self.members]
        for one in batch:
            share = share_of(one.topic, one.payload, len(shares))
            shares[share].append(Part(one.topic, one.payload, one.properties, one.content_type))
        asked = [
            member.ask(Share(self._number, at, parts))
            for member, parts in zip(self.members, shares, strict=True)
            if parts
        ]
        return _together(await asyncio.gather(*asked))

    async def watch(self) -> None:
        """Waits until one of them ends, which none should; raises CrewEndedError then."""
        await asyncio.wait([one.reading for one in self.members], return_when=asyncio.FIRST_COMPLETED)
        ended = next(one for one in self.members if one.reading.done())
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.process.wait(), STOP_S)
        raise CrewEndedError(f"settling process {ended.process.pid} ended (status {ended.process.returncode})")


def _together(answers: Sequence[Done | None]) -> Done | None:
    """What came of all shares as one."""
    done = [one for one in answers if one is not None]
    if len(done) < len(answers):
        return None
    return Done(
        list(chain.from_iterable(one.receipts for one in done)),
        sum((Counter(one.fates) for one in done), Counter()),
        list(chain.from_iterable(one.times_s for one in done)),
        list(chain.from_iterable(one.traceparents for one in done)),
        max((one.read_s for one in done), default=0.0),
        max((one.settle_s for one in done), default=0.0),
    )


@asynccontextmanager
async def crew_of(size: int, argv: Sequence[str], hello: Any) -> AsyncIterator[Crew]:
    """That many processes, ready; ended with the block.

    Each is started by `argv` and the number of its end of a socket, on which it is first sent `hello` (see `joining`).
    """
    async with AsyncExitStack() as crew:

        async def join() -> Member:
            member = await _joined(argv, hello)
            crew.push_async_callback(member.stop)
            return member

        joined = await asyncio.gather(*(join() for _ in range(size)), return_exceptions=True)
        for one in joined:
            if isinstance(one, BaseException):
                raise one
        yield Crew([one for one in joined if isinstance(one, Member)])


async def _joined(argv: Sequence[str], hello: Any) -> Member:
    """One more process, started and ready. Raises CrewEndedError if it ends instead."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *argv, str(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=DEVNULL
        )
    reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_AHEAD_BYTES)
    _send(writer, hello)
    try:
        async with asyncio.timeout(READY_S):
            await reader.readexactly(len(_READY))
    except (asyncio.IncompleteReadError, TimeoutError) as error:
        writer.close()
        with suppress(ProcessLookupError):
            process.kill()
        raise CrewEndedError(f"a settling process did not start (status {await process.wait()})") from error
    return Member(process, reader, writer)


async def joining(number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Any]:
    """In such a process: the socket of that number, and the hello that came on it."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=number), limit=_READ_AHEAD_BYTES)
    async for hello in _received(reader, dict):
        return reader, writer, hello
    raise CrewEndedError("nobody is there to settle for")


async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, here: Here) -> None:
    """In such a process: settle the shares that come until no more can. A fault in one ends it, and so the reader."""

    async def answer(share: Share) -> None:
        _send(writer, Answer(share.number, await here(share.parts, share.at)))

    writer.write(_READY)
    async with asyncio.TaskGroup() as at_work:
        async for share in _received(reader, Share):
            at_work.create_task(answer(share))


def _send(writer: asyncio.StreamWriter, one: Any) -> None:
    packed = _pack(one)
    writer.write(_LENGTH.pack(len(packed)))
    writer.write(packed)


async def _received(reader: asyncio.StreamReader, kind: type[T]) -> AsyncIterator[T]:
    """What comes, until the other side ends."""
    unpack = msgspec.msgpack.Decoder(kind).decode
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            yield unpack(await reader.readexactly(length))
