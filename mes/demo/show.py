"""The demo from beginning to end: set up the floor, build racks, tell what happened, go on live."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console

from mes.demo import begun
from mes.demo.begun import Begun
from mes.demo.logins import logins
from mes.demo.office import Office, OfficeRefused
from mes.demo.progress import LineProgress
from mes.demo.summary import summarize
from mes.local import Local
from stations.floor.deeds import Deed
from stations.floor.player import LineStopped, Player
from stations.floor.production import Production

TOP: Final = "RCK-AX72-L11"
RELEASED_EVERY_S: Final = 36 * 3600.0
"""How long after one rack's orders the next one's are released."""
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


async def show(local: Local, wish: Wish) -> dict[str, Any]:
    """Build racks and tell what happened; returns the summary, in which `stopped` says what stopped the line."""
    began = time.monotonic()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    welcome(console, local, await logins(local, wish.data_dir, wish.site))
    async with Office(local) as office:
        with console.status("Releasing the product definitions…"):
            documents = await office.release_products()
        known, block = begun.block_for(wish.data_dir, wish.seed, wish.racks, wish.once)
        production = Production(documents, TOP, seed=wish.seed, block=known.block if known else block)
        await office.put_lines(production.plant)
        deeds = plan(production, wish.racks)
        if known is None:
            known = _now(production, deeds, wish)
            begun.keep(wish.data_dir, known)
        stopped = None
        with LineProgress(console, production.plant) as progress:
            progress.expect(deeds)
            names = [bench.name for bench in production.plant.benches]
            spools = wish.data_dir / "stations" / str(known.block)
            player = Player(local.parts.mqtt_url, names, spools, known.clock, office, done=progress.done)
            try:
                async with player:
                    await player.play(deeds)
            except (LineStopped, OfficeRefused) as error:
                stopped = str(error)
        racks = [task.result.serial for task in production.tops if task.result]
        wall_s = time.monotonic() - began
        summary = await summarize(local, office, wish.site, production.prefix, player.fates, racks, wall_s)
    return summary | ({"stopped": stopped} if stopped else {})


def plan(production: Production, racks: int) -> list[Deed]:
    """All that happens until the racks are done; all but the last of them are packed and shipped."""
    production.set_up()
    for number in range(racks):
        production.schedule.run(number * RELEASED_EVERY_S)
        production.release(racks)
    for number in range(racks - 1):
        production.send(number)
    production.schedule.run(float("inf"))
    return production.diary.take()


def _now(production: Production, deeds: list[Deed], wish: Wish) -> Begun:
    """A clock by which the floor began at the start of a shift and ends now."""
    ends = max(deed.told_at for deed in deeds)
    now = datetime.now(UTC)
    latest = Begun(wish.seed, wish.racks, wish.once, 0, now.isoformat(), float("inf"), 0.0).clock(-ends)
    start = begun.shift_start(latest)
    pause_s = (latest - start).total_seconds()
    block = production.serials.block
    return Begun(wish.seed, wish.racks, wish.once, block, start.isoformat(), production.floor.soaked_at, pause_s)


def welcome(console: Console, local: Local, passwords: dict[str, str]) -> None:
    """Where to look, before anything happens."""
    console.print(f"[bold]The dashboard is at[/] {local.api_url}")
    console.print("Log in as " + ", ".join(f"[bold]{name}[/] / {password}" for name, password in passwords.items()))
    console.print()
