"""Makes the deeds of a floor happen: stations say them over MQTT, the office decides, each unit's in their order.

Units go side by side. Within one, a station that asks has told all before; what was said is known by its receipt. All
names are the plan's, so a player that was killed says everything again and only what is new has an effect.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from stations.client import Station
from stations.floor.deeds import After, Clock, Deed, Fact, Question
from stations.spool import Spool

WAITING_MAX: Final = 64
"""Most units that wait for the MES at the same time."""
RECEIPT_S: Final = 120.0
"""How long a receipt or an answer may take before the line stops."""
KEPT_DAYS: Final = 3650.0
TOLD_MAX: Final = 200
"""Facts of one unit that are told before their receipts are waited for."""


class LineStopped(Exception):  # noqa: N818 - what happened on the floor
    """A station may not go on, or got no answer."""


class Office(Protocol):
    """Where it is decided what is no station's to say."""

    async def do(self, what: Any, at: datetime) -> None:
        """Do what the floor's office does, as of a moment. Done before, it is not done again."""


class Player:
    """The stations, and what each unit still has to tell. Use it with `async with`.

    `done` is told how many deeds were done, of which chain. `due` waits until a deed may be told; None: at once.
    """

    def __init__(
        self,
        url: str,
        stations: Iterable[str],
        spools: Path,
        clock: Clock,
        office: Office,
        *,
        done: Callable[[Deed], None] = lambda _: None,
        due: Callable[[Deed], Awaitable[None]] | None = None,
    ) -> None:
        self._url = url
        self._names = list(stations)
        self._spools = spools
        self._clock = clock
        self._office = office
        self._done = done
        self._due = due
        self._threads = ThreadPoolExecutor(WAITING_MAX, thread_name_prefix="floor")
        self._stations: dict[str, Station] = {}
        self._chains: dict[str, Chain] = {}
        self._reached: dict[str, int] = defaultdict(int)
        self._changed = asyncio.Condition()
        self.fates: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._connect)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for chain in self._chains.values():
            chain.task.cancel()
        await asyncio.gather(*(chain.task for chain in self._chains.values()), return_exceptions=True)
        await asyncio.to_thread(self._close)

    def _connect(self) -> None:
        self._spools.mkdir(parents=True, exist_ok=True)
        for name in self._names:
            spool = Spool(self._spools / f"{name}.spool", name, durable=False, kept_days=KEPT_DAYS)
            self._stations[name] = Station(self._url, name, spool=spool).__enter__()
        for name, station in self._stations.items():
            if not station.connected(RECEIPT_S):
                raise LineStopped(f"{name} can't reach the broker at {self._url}.")

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        with ThreadPoolExecutor(16) as threads:  # each says goodbye, and waits a little for its last receipts
            list(threads.map(lambda station: station.close(), self._stations.values()))

    async def play(self, deeds: Sequence[Deed]) -> None:
        """Let deeds happen; returns when all are told and settled. Raises `LineStopped`."""
        for deed in deeds:
            chain = self._chains.get(deed.chain)
            if chain is None:
                chain = self._chains[deed.chain] = Chain()
            chain.deeds.append(deed)
        tasks = []
        for chain in self._chains.values():
            if chain.deeds:
                chain.task = asyncio.ensure_future(self._follow(chain))
                tasks.append(chain.task)
        await _all_of(tasks)

    async def _follow(self, chain: "Chain") -> None:
        while chain.deeds:
            deed = chain.deeds[0]
            if not isinstance(deed.what, Fact) or self._is_ahead(deed) or len(chain.told) >= TOLD_MAX:
                await self._settle(chain)
                await self._wait_for(deed.after)
            if self._due:
                await self._due(deed)
            await self._do(chain, deed)
            chain.deeds.popleft()
        await self._settle(chain)

    def _is_ahead(self, deed: Deed) -> bool:
        return any(self._reached[one.chain] < one.deeds for one in deed.after)

    async def _do(self, chain: "Chain", deed: Deed) -> None:
        if isinstance(deed.what, Fact):
            station, data = self._stations[deed.what.station], deed.what.make(self._clock)
            await self._in_thread(partial(station.post, data, at=self._clock(deed.at), id=deed.id))
            chain.told.append((deed, station))
            return
        if isinstance(deed.what, Question):
            await self._ask(deed, deed.what)
        else:
            await self._office.do(deed.what, self._clock(deed.at))
        await self._reach([deed])

    async def _ask(self, deed: Deed, what: Question) -> None:
        ask = partial(
            self._stations[what.station].ask,
            what.unit,
            what.step,
            what.parts,
            timeout_s=RECEIPT_S,
            at=self._clock(deed.at),
            id=deed.id,
        )
        answer = await self._in_thread(ask)
        if answer is None:
            raise LineStopped(f"{what.station} asked about {what.unit} and got no answer.")
        if answer.granted != what.granted:
            why = " ".join(one.text for one in answer.reasons) or "It may begin."
            raise LineStopped(f"{what.station} asked whether {what.step} of {what.unit} may begin: {why}")

    async def _settle(self, chain: "Chain") -> None:
        """Wait until everything that was told of a unit has its receipt."""
        told, chain.told = chain.told, []
        by_station: dict[Station, list[Deed]] = defaultdict(list)
        for deed, station in told:
            by_station[station].append(deed)
        for station, deeds in by_station.items():
            wait = partial(station.await_receipts, [one.id for one in deeds], timeout_s=RECEIPT_S)
            fates = await self._in_thread(wait)
            for one in deeds:
                fate = fates.get(one.id)
                if fate is None or fate.fate == "rejected":
                    why = " ".join(reason.text for reason in fate.reasons) if fate else "no receipt came."
                    raise LineStopped(f"{station.name} told of {one.chain}: {why}")
                self.fates[fate.fate] += 1
        await self._reach([deed for deed, _ in told])

    async def _reach(self, deeds: Sequence[Deed]) -> None:
        for one in deeds:
            self._reached[one.chain] += 1
            self._done(one)
        async with self._changed:
            self._changed.notify_all()

    async def _wait_for(self, after: Sequence[After]) -> None:
        async with self._changed:
            for one in after:
                await self._changed.wait_for(lambda one=one: self._reached[one.chain] >= one.deeds)  # type: ignore[misc]

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class Chain:
    """One unit's deeds still to be told, and those told that have no receipt yet."""

    def __init__(self) -> None:
        self.deeds: deque[Deed] = deque()
        self.told: list[tuple[Deed, Station]] = []
        self.task: asyncio.Future[None] = asyncio.get_running_loop().create_future()


async def _all_of(tasks: Sequence["asyncio.Future[None]"]) -> None:
    """Wait for all; the first that fails ends the others."""
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else (set(), set())
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for one in done:
        one.result()
