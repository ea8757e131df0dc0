"""The demo from beginning to end: set up the floor, build racks, tell what happened, go on live."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console

from mes.demo import begun
from mes.demo.begun import Begun
from mes.demo.logins import logins
from mes.demo.office import Office, OfficeRefused
from mes.demo.progress import LineProgress, News
from mes.demo.summary import summarize
from mes.demo.telling import going_live, tell, welcome, where_to_look
from mes.local import Local
from stations.floor.player import Player
from stations.floor.production import Production
from stations.floor.switchboard import LineStopped, Switchboard

TOP: Final = "RCK-AX72-L11"
HISTORY: Final = timedelta(days=14)
RELEASED_EVERY_S: Final = 36 * 3600.0
"""How long after one rack's orders the next one's are released, with --once."""
AHEAD_S: Final = 3600.0
"""For how long live production goes faster than the clock, with --speed."""
TURN_S: Final = 0.25
KEPT_EVERY_S: Final = 5.0
WIDTH: Final = 110
"""Columns where the output is no terminal."""


class Wish(NamedTuple):
    """What the demo was asked for."""

    racks: int
    speed: float
    seed: int
    once: bool
    data_dir: Path
    site: str


class Demo:
    """One run of `mes demo`. `open` it with `async with`; `build`, and then perhaps `go_on`."""

    def __init__(self, local: Local, wish: Wish) -> None:
        self.local = local
        self.wish = wish
        self.office = Office(local)
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        self.began = time.monotonic()
        self.stopped: str | None = None
        self.production: Production
        self.board: Switchboard
        self.player: Player
        self.progress: LineProgress
        self.floor: Begun

    async def prepare(self) -> None:
        """Everything there is before the first unit: logins, products, lines, the plan."""
        welcome(self.console, self.local, await logins(self.local, self.wish.data_dir, self.wish.site))
        with self.console.status("Releasing the product definitions…"):
            documents = await self.office.release_products()
            self.floor = begun.find(
                self.wish.data_dir, self.wish.seed, self.wish.racks, self.wish.once, datetime.now(UTC)
            )
            self.production = Production(documents, TOP, seed=self.wish.seed, block=self.floor.block)
            await self.office.put_lines(self.production.plant, self.floor.time_zone)
            self.production.set_up()
            self._begin_once() if self.wish.once else self._begin()
        begun.keep(self.wish.data_dir, self.floor)
        names = [bench.name for bench in self.production.plant.benches]
        spools = self.wish.data_dir / "stations" / str(self.floor.block)
        self.board = Switchboard(self.local.parts.mqtt_url, names, spools)
        self.progress = LineProgress(self.console, self.production.plant)
        self.player = Player(self.board, self.floor.clock, self.office, done=self.progress.done)

    def _begin_once(self) -> None:
        """All until the racks are done, so that it began at the start of a shift and ends now."""
        for number in range(self.wish.racks):
            self.production.schedule.run(number * RELEASED_EVERY_S)
            self.production.release(self.wish.racks)
            if number:
                self.production.send(number - 1)  # the last rack stays to be looked at
        self.production.schedule.run(float("inf"))
        if self.floor.began:
            return
        latest = datetime.now(UTC) - timedelta(seconds=self.production.diary.ends_at)
        start = begun.shift_start(latest, self.floor.time_zone)
        pause = (self.production.floor.soaked_at, (latest - start).total_seconds())
        self.floor = replace(self.floor, began=start.isoformat(), pauses=(pause,))

    def _begin(self) -> None:
        """Two weeks, or as long as it was when the demo was stopped; the floor stood still since."""
        now = datetime.now(UTC)
        behind_s = (self.wish.speed - 1) * AHEAD_S
        if not self.floor.began:
            start = begun.shift_start(now - HISTORY, self.floor.time_zone)
            reached = (now - start).total_seconds() - behind_s
            self.floor = replace(self.floor, began=start.isoformat(), reached=reached, busy_from=reached)
        still_s = self.floor.clock.at(now) - self.floor.reached - behind_s
        if still_s > KEPT_EVERY_S:
            self.floor = replace(self.floor, pauses=(*self.floor.pauses, (self.floor.reached, still_s)))
        self.production.go_on(self.wish.racks, self.floor.busy_from)
        self.production.schedule.run(self.floor.reached)

    async def load(self) -> None:
        """Let all that lies in the past happen."""
        deeds = self.production.diary.take()
        self.progress.expect(deeds)
        with self.progress:
            self.player.tell(deeds)
            await self.player.finish()

    async def go_on(self) -> None:
        """Live production, until it is ended."""
        news = News(self.console)
        self.player.go_live(news.done, news.trouble)
        began, kept = time.monotonic(), 0.0
        at = self.floor.reached
        with news:
            while True:
                gone_s = time.monotonic() - began
                behind_s = max(0.0, AHEAD_S - gone_s) * (self.wish.speed - 1)
                at = max(at, self.floor.clock.at(datetime.now(UTC)) - behind_s)
                self.production.schedule.run(at)
                self.player.tell(self.production.diary.take())
                if gone_s - kept > KEPT_EVERY_S:
                    kept = gone_s
                    begun.keep(self.wish.data_dir, replace(self.floor, reached=at))
                await asyncio.sleep(TURN_S)

    async def summary(self) -> dict[str, Any]:
        """What it came to."""
        racks = [task.result.serial for task in self.production.tops if task.result]
        wall_s = time.monotonic() - self.began
        prefix, fates = self.production.prefix, await self.player.fates()
        found = await summarize(self.local, self.office, self.wish.site, prefix, fates, racks, wall_s)
        found["runs_stopped"] = self.board.stops
        return found | ({"stopped": self.stopped} if self.stopped else {})


async def show(local: Local, wish: Wish, told: Callable[[dict[str, Any]], None]) -> bool:
    """Run the demo; whether all racks were built. `told` gets the summary, before live production begins."""
    demo = Demo(local, wish)
    async with demo.office:
        await demo.prepare()
        async with demo.player:
            try:
                await demo.load()
            except (LineStopped, OfficeRefused) as error:
                demo.stopped = str(error)
            summary = await demo.summary()
            await tell(demo.console, demo.office, demo.production, summary)
            where_to_look(demo.console, local, demo.production)
            told(summary)
            if not wish.once and not demo.stopped:
                going_live(demo.console, local)
                await demo.go_on()
            return bool(summary["racks_completed"] >= wish.racks)
