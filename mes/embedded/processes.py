"""The services that `mes up` and `mes demo` run as processes of their own: started, restarted, ended together.

How it is put together, outermost first, so that whatever ends the block ends everything in the right order:

    async with until_signalled():
        with sole_use(data_dir):
            async with embedded(settings) as parts, Supervisor(data_dir, parts.environment()) as services:
                await services.start("serve", [sys.executable, "-m", "mes", "serve"], ready=…)
                await services.watch()
"""

import asyncio
import logging
import math
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from mes.embedded import folder
from mes.embedded.child import POLL_S, Child, Process, Steps
from mes.embedded.problems import PartError

READY_S = 60.0
STOP_S = 10.0
KILL_S = 5.0
LEFTOVER: Steps = ((signal.SIGTERM, 3.0), (signal.SIGKILL, KILL_S))
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0
"""A child that lived this long is thought to be well: its next end is answered without delay again."""

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = logging.getLogger(__name__)


@asynccontextmanager
async def until_signalled() -> AsyncIterator[list[int]]:
    """Leave the block in good order at Ctrl-C, SIGTERM or a closed terminal; gives the signals that were heard.

    The first signal cancels the block. Each further one cancels what is being waited for while leaving it, so that
    a child that does not want to end is killed.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    signals: list[int] = []

    def heard(number: int) -> None:
        signals.append(number)
        task.cancel()

    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, heard, number)
    try:
        yield signals
        await asyncio.sleep(0)  # a signal in the last moment is heard here, not after the block
    except asyncio.CancelledError:
        if not signals:
            raise
        for _ in signals:
            task.uncancel()
    finally:
        for number in ENDING_SIGNALS:
            loop.remove_signal_handler(number)


@dataclass
class Backoff:
    """How long to wait before the next try: longer each time, short again after a steady life."""

    failures: int = 0
    began: float = field(default_factory=time.monotonic)

    def next_s(self) -> float:
        if time.monotonic() - self.began > STEADY_S:
            self.failures = 0
        self.failures += 1
        return float(min(BACKOFF_FIRST_S * 2 ** (self.failures - 1), BACKOFF_MAX_S) * random.uniform(0.8, 1.2))

    def begin(self) -> None:
        """A try begins now."""
        self.began = time.monotonic()


@dataclass
class Service:
    """One named child and what to do when it ends."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    restart: bool
    child: Child
    restarts: int = 0


class Supervisor:
    """Child processes of one data folder. None outlives the block, nor this process by more than a moment."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is added to our own for every child."""
        self.data_dir = folder.prepare(data_dir)
        self._environment = dict(environment or {})
        self._logs = self.data_dir / "logs"
        self._records = self.data_dir / "processes"
        self._services: dict[str, Service] = {}

    async def __aenter__(self) -> "Supervisor":
        self._logs.mkdir(exist_ok=True)
        self._records.mkdir(exist_ok=True)
        await self._end_leftovers()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _end_leftovers(self) -> None:
        """End children of an earlier supervisor that died without ending them."""
        for record in self._records.glob("*.process"):
            if process := Process.read(record):
                log.warning("%s (process %d) was left by an earlier run; ending it", record.stem, process.pid)
                await process.stop(LEFTOVER, group=True)
            record.unlink(missing_ok=True)

    async def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        restart: bool = True,
        ready: Callable[[], Awaitable[bool]] | None = None,
        ready_within_s: float = READY_S,
    ) -> Child:
        """Start a child and wait until it is `ready`. Raises PartError, with the log's last lines, if it ends first."""
        together = {**os.environ, **self._environment, **(env or {})}
        service = Service(name, list(argv), together, restart, self._launch(name, argv, together))
        self._services[name] = service
        if ready is not None:
            await self._wait_ready(service, ready, ready_within_s)
        return service.child

    def _launch(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Child:
        child = Child(name, argv, self._logs / f"{name}.log", env=env)
        child.process.write(self._records / f"{name}.process")
        return child

    async def _wait_ready(self, service: Service, ready: Callable[[], Awaitable[bool]], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not await ready():
            child = service.child
            if not child.alive:
                raise PartError(f"{service.name} ended at once (status {child.status}):\n{child.last_lines()}")
            if time.monotonic() > deadline:
                raise PartError(f"{service.name} is not ready after {within_s:.0f} s:\n{child.last_lines()}")
            await asyncio.sleep(POLL_S)

    async def watch(self) -> None:
        """Restart what ends, of the children started so far; returns only when none is left that is to be restarted."""
        async with asyncio.TaskGroup() as tasks:
            for service in self._services.values():
                tasks.create_task(self._watch_one(service), name=f"watch {service.name}")

    async def _watch_one(self, service: Service) -> None:
        backoff = Backoff()
        while True:
            await service.child.ended(math.inf)
            if not service.restart:
                return
            wait_s = backoff.next_s()
            log.warning("%s ended (status %s); again in %.1f s", service.name, service.child.status, wait_s)
            await asyncio.sleep(wait_s)
            backoff.begin()
            service.child = self._launch(service.name, service.argv, service.env)
            service.restarts += 1

    async def ended(self, name: str) -> int:
        """Wait for the end of a child that is not restarted; its exit status."""
        child = self._services[name].child
        await child.ended(math.inf)
        return child.status or 0

    def pids(self) -> dict[str, int]:
        """The process number of each child."""
        return {name: service.child.process.pid for name, service in self._services.items()}

    async def stop(self) -> None:
        """Ask each child to end, the last one first; kill those that have not after STOP_S, or when cancelled."""
        services = list(reversed(self._services.values()))
        self._services.clear()
        deadline = time.monotonic() + STOP_S
        try:
            for service in services:
                remaining_s = max(0.0, deadline - time.monotonic())
                await service.child.stop(((signal.SIGTERM, remaining_s), (signal.SIGKILL, KILL_S)))
        finally:
            for service in services:
                # also grandchildren, and what a cancellation left
                service.child.process.send(signal.SIGKILL, group=True)
                service.child.collect()
                (self._records / f"{service.name}.process").unlink(missing_ok=True)
