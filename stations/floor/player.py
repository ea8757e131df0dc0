"""Makes the deeds of a floor happen: stations say them over MQTT, the office decides, each unit's in their order.

Units go side by side. Within one, a station that asks has told all before; what was said is known by its receipt. All
names are the plan's, so a player that was killed says everything again and only what is new has an effect.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self

from mes.formats.messages import RunReported, SettledMessage, StepCompleted, StepStarted
from stations.floor.deeds import After, Away, Back, Clock, Deed, Fact, Question, Stopped
from stations.floor.switchboard import LineStopped, Switchboard

WAITING_MAX: Final = 64
"""Most units that wait for the MES at the same time."""
TOLD_MAX: Final = 200
"""Facts of one unit that are told before their receipts are waited for."""
LATE_S: Final = 10.0
PENDING: Final = "pending"
ASK_AGAIN_S: Final = 15.0
"""How long people wait, live, before they ask again what was refused."""


class Office(Protocol):
    """Where it is decided what is no station's to say."""

    async def do(self, what: Any, at: datetime) -> None:
        """Do what the floor's office does, as of a moment. Done before, it is not done again."""


@dataclass
class Chain:
    """One unit's deeds still to be told, and those told that have no receipt yet.

    `late`: how much later than planned everything happens to it, because it had to wait for the MES.
    """

    deeds: deque[Deed] = field(default_factory=deque)
    told: list[tuple[Deed, str]] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    late: timedelta = timedelta(0)


class Player:
    """What each unit still has to tell, and who tells it. Use it with `async with`.

    `live`: deeds happen now, and one that is refused is asked for again, as people would; otherwise they happened, and
    whatever differs from the plan stops the line. `done` is told of each deed, `troubled` of what goes wrong live.
    """

    def __init__(
        self,
        board: Switchboard,
        clock: Clock,
        office: Office,
        *,
        done: Callable[[Deed], None] = lambda _: None,
        troubled: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.live = False
        self._fates: Counter[str] = Counter()
        self._pending: list[tuple[str, str]] = []
        self._board = board
        self._clock = clock
        self._office = office
        self._done = done
        self._troubled = troubled
        self._threads = ThreadPoolExecutor(WAITING_MAX, thread_name_prefix="floor")
        self._chains: dict[str, Chain] = defaultdict(Chain)
        self._reached: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._board.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [chain.task for chain in self._chains.values() if chain.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._board.close)

    def go_live(self, done: Callable[[Deed], None], troubled: Callable[[str], None]) -> None:
        """From now on deeds happen when they are told. `troubled` is told of what goes wrong."""
        self.live = True
        self._done, self._troubled = done, troubled
        for station, units in self._busy.items():
            if units:
                self._board.status(station, "running")

    def tell(self, deeds: Iterable[Deed]) -> None:
        """Let deeds happen, as soon as what they come after has."""
        for deed in deeds:
            chain = self._chains[deed.chain]
            chain.deeds.append(deed)
            if chain.task is None or chain.task.done():
                chain.task = asyncio.create_task(self._follow(chain))

    async def finish(self) -> None:
        """Wait until all deeds are told and settled. Raises `LineStopped`."""
        tasks = [chain.task for chain in self._chains.values() if chain.task]
        if tasks:
            done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for one in done:
                one.result()

    async def fates(self) -> Counter[str]:
        """How many messages came to each fate. Those that were pending are looked at again."""
        again, self._pending = self._pending, []
        for station, id in again:
            fate = (await self._in_thread(partial(self._board.receipts, station, [id])))[id].fate
            if fate == PENDING:
                self._pending.append((station, id))
            else:
                self._fates[fate] += 1
        return self._fates + Counter({PENDING: len(self._pending)})

    async def _follow(self, chain: Chain) -> None:
        while chain.deeds:
            deed = chain.deeds[0]
            if self._must_wait(chain, deed):
                await self._settle(chain)
                await self._wait_for(deed.after)
            await self._do(chain, deed)
            chain.deeds.popleft()
            if not chain.deeds:
                await self._settle(chain)

    def _must_wait(self, chain: Chain, deed: Deed) -> bool:
        """Whether what was told must have come first: of what several stations say, the broker keeps no order."""
        if not isinstance(deed.what, Fact) or not all(map(self._has_reached, deed.after)):
            return True
        return bool(chain.told) and (chain.told[-1][1] != deed.what.station or len(chain.told) >= TOLD_MAX)

    async def _wait_for(self, after: Sequence[After]) -> None:
        async with self._changed:
            for one in after:
                await self._changed.wait_for(partial(self._has_reached, one))

    def _has_reached(self, one: After) -> bool:
        return self._reached[one.chain] >= one.deeds

    async def _do(self, chain: Chain, deed: Deed) -> None:
        what = deed.what
        if self.live and chain.late:
            await asyncio.sleep((self._moment(chain, deed.at) - datetime.now(UTC)).total_seconds())
        if isinstance(what, Fact):
            await self._say(chain, deed, what)
            return
        if isinstance(what, Question):
            await self._ask(chain, deed, what)
        elif isinstance(what, Stopped):
            if not await self._in_thread(partial(self._board.stopped, what.run)):
                self._troubled(f"{what.station} ends {what.step} of {what.unit}, though the MES did not say so.")
        elif isinstance(what, Away | Back):
            if self.live:
                move = self._board.leave if isinstance(what, Away) else self._board.come_back
                await self._in_thread(partial(move, what.station))
        else:
            await self._decide(chain, deed)
        await self._reach([deed])

    def _moment(self, chain: Chain, at: float) -> datetime:
        return self._clock(at) + chain.late

    async def _say(self, chain: Chain, deed: Deed, what: Fact) -> None:
        data = what.make(partial(self._moment, chain))
        self._show(what.station, data)
        at = self._moment(chain, deed.at)
        await self._in_thread(partial(self._board.post, what.station, data, at, deed.id))
        chain.told.append((deed, what.station))

    def _show(self, station: str, data: Any) -> None:
        """Let a station's light follow its work."""
        if isinstance(data, StepStarted):
            self._busy[station] += 1
        elif isinstance(data, StepCompleted | RunReported) and self._busy[station]:
            self._busy[station] -= 1
        else:
            return
        if self.live:
            self._board.status(station, "running" if self._busy[station] else "idle")

    async def _ask(self, chain: Chain, deed: Deed, what: Question) -> None:
        tries = 0
        while True:
            at, id = self._asked(chain, deed, tries)
            answer = await self._in_thread(partial(self._board.ask, what, at, id))
            if answer and answer.granted == what.granted:
                return
            said = " ".join(one.text for one in answer.reasons) if answer else "no answer came."
            trouble = f"{what.station} asked whether {what.step} of {what.unit} may begin: {said or 'it may.'}"
            if not self.live:
                raise LineStopped(trouble)
            self._troubled(trouble)
            tries += answer is not None
            await asyncio.sleep(ASK_AGAIN_S)

    def _asked(self, chain: Chain, deed: Deed, tries: int) -> tuple[datetime, str]:
        """When, and under which name, it is asked; live, a unit that is late stays so."""
        planned, now = self._moment(chain, deed.at), datetime.now(UTC)
        if self.live and tries and (now - planned).total_seconds() > LATE_S:
            chain.late += now - planned
        return self._moment(chain, deed.at), f"{deed.id}.{tries}" if tries else deed.id

    async def _decide(self, chain: Chain, deed: Deed) -> None:
        try:
            await self._office.do(deed.what, self._moment(chain, deed.at))
        except Exception as error:
            if not self.live:
                raise
            self._troubled(str(error))

    async def _settle(self, chain: Chain) -> None:
        """Wait until everything that was told of a unit has its receipt."""
        told, chain.told = chain.told, []
        by_station: dict[str, list[Deed]] = defaultdict(list)
        for deed, station in told:
            by_station[station].append(deed)
        for station, deeds in by_station.items():
            wait = partial(self._board.receipts, station, [one.id for one in deeds])
            fates = await self._in_thread(wait)
            for one in deeds:
                self._note(station, one, fates.get(one.id))
        await self._reach([deed for deed, _ in told])

    def _note(self, station: str, deed: Deed, fate: SettledMessage | None) -> None:
        if fate and fate.fate == PENDING:
            self._pending.append((station, deed.id))
        elif fate:
            self._fates[fate.fate] += 1
        if fate is None or fate.fate == "rejected":
            why = " ".join(reason.text for reason in fate.reasons) if fate else "no receipt came."
            trouble = f"{station} told of {deed.chain}: {why}"
            if not self.live:
                raise LineStopped(trouble)
            self._troubled(trouble)

    async def _reach(self, deeds: Sequence[Deed]) -> None:
        for one in deeds:
            self._reached[one.chain] += 1
            self._done(one)
        async with self._changed:
            self._changed.notify_all()

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
