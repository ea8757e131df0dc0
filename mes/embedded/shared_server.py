"""The life of a server that the commands of one data folder share: started when needed and never twice.

Whoever finds it running joins it. Who started it ends it; one whose owner is gone is ended by the last who used it. How
a server is found, asked and started is its own business: see `mes.embedded.postgres` and `mes.embedded.broker`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mes.embedded import folder, ports
from mes.embedded.child import POLL_S, Child, Process, Steps
from mes.embedded.problems import PartError


class SharedServer(ABC):
    """A server of one data folder; what it writes goes to `log`.

    `name` begins the names of its files, `title` is what people call it. A start may take `start_s` seconds, the turn
    at starting or ending it `turn_s`. It is ended with the steps `stop`, or `at_once` where its start went wrong.
    `for_a_while` leaves it to others who joined.
    """

    def __init__(
        self,
        data_dir: Path,
        name: str,
        title: str,
        *,
        start_s: float,
        turn_s: float,
        stop: Steps,
        at_once: Steps,
        for_a_while: bool = False,
    ) -> None:
        self.data_dir = folder.prepare(data_dir)
        self.log = self.data_dir / f"{name}.log"
        self.title = title
        self.for_a_while = for_a_while
        self._start_s = start_s
        self._turn_s = turn_s
        self._stop_steps = stop
        self._at_once_steps = at_once
        self._port_record = self.data_dir / f"{name}.port"
        self._owner_record = self.data_dir / f"{name}.owner"
        self._lock = self.data_dir / f"{name}.lock"
        self._use = folder.SharedUse(self.data_dir / f"{name}.users")
        self._port: int | None = None
        self._child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address; only while it runs."""

    @property
    def port(self) -> int:
        """Where it listens; only while it runs."""
        if self._port is None:
            raise PartError(f"{self.title} was not started.")
        return self._port

    @property
    def started_here(self) -> bool:
        """Whether the server is our child, and not somebody else's that we joined."""
        return self._child is not None

    @property
    def alive(self) -> bool:
        """Whether the server's main process lives."""
        return self._child.alive if self._child else self._found() is not None

    async def start(self) -> str:
        """Have a server that answers, and give its address; again after a crash, at the same port.

        Raises PartError with the log's last lines, and PortTakenError where its port is not to be had.
        """
        async with folder.turn(self._lock, self._turn_s):
            if not await self._join_running():
                await self._launch()
            self._use.join()
        return self.url

    async def stop(self) -> None:
        """End the server if that is ours to do; otherwise leave it to whoever uses it."""
        async with folder.turn(self._lock, self._turn_s):
            last = self._use.leave()
            child, self._child, self._port = self._child, None, None
            if child is not None and self.for_a_while and not last:
                child.disown()
            elif child is not None:
                await child.stop(self._stop_steps)
            elif last and Process.read(self._owner_record) is None and (orphan := self._found()):
                await orphan.stop(self._stop_steps)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The server's address, for as long as the block lasts."""
        try:
            yield await self.start()
        finally:
            await self.stop()

    @abstractmethod
    def _found(self) -> Process | None:
        """The server's process, whoever started it; None if none lives."""

    @abstractmethod
    async def _port_of_found(self) -> int | None:
        """Where the server that was found answers; None while it does not."""

    @abstractmethod
    async def _launch(self) -> None:
        """Start a server, with `_comes_up`. Raises PartError."""

    async def _join_running(self) -> bool:
        """Join the server that runs in the folder. One that comes up or goes down meanwhile is waited for."""
        deadline = time.monotonic() + self._start_s
        while process := self._found():
            if (port := await self._port_of_found()) is not None:
                self._port, self._child = port, None
                return True
            if time.monotonic() > deadline:
                raise PartError(f"{self.title} (process {process.pid}) does not answer. See {self.log}.")
            await asyncio.sleep(POLL_S)
        return False

    async def _comes_up(self, child: Child, port: int, answers: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until a child answers, and take it for ours; False if it ended instead."""
        deadline = time.monotonic() + self._start_s
        try:
            while child.alive and time.monotonic() < deadline:
                if await answers():
                    self._port, self._child = port, child
                    self._port_record.write_text(str(port))
                    Process.current().write(self._owner_record)
                    return True
                await asyncio.sleep(POLL_S)
            if child.alive:
                raise PartError(f"{self.title} did not answer within {self._start_s:.0f} s:\n{child.last_lines()}")
            return False
        except BaseException:
            await child.stop(self._at_once_steps)
            raise

    def _remembered_port(self, default: int) -> int:
        """Where it listened last, so that addresses stay the same from start to start."""
        return ports.remembered(self._port_record, default)
