"""What the demo began in a data folder: kept in a file, so that a demo that was stopped goes on where it was."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from mes.embedded import folder
from stations.floor import crew
from stations.floor.deeds import Clock, Pause

FILE: Final = "demo.json"
BLOCKS: Final = 1_000_000
"""Seeds below this have blocks of serials of their own; a second floor of the same seed takes the next so many."""


HALF_SHIFT: Final = timedelta(seconds=crew.SHIFT_S / 2)


@dataclass(frozen=True)
class Begun:
    """One floor: by which seed, how many racks, whether it ends; its block of serials, its time zone.

    `began` is in real time (empty: not yet), `pauses` say when the floor stood still since and for how many seconds;
    `reached` is the floor's own time, `busy_from` the one at which it was to be seen first.
    """

    seed: int
    racks: int
    once: bool
    block: int
    time_zone: str
    began: str = ""
    pauses: tuple[tuple[float, float], ...] = ()
    reached: float = 0.0
    busy_from: float = 0.0

    @property
    def clock(self) -> Clock:
        """When its seconds are."""
        return Clock(datetime.fromisoformat(self.began), [Pause(*one) for one in self.pauses])


def find(data_dir: Path, seed: int, racks: int, once: bool, now: datetime) -> Begun:
    """The floor of this seed that was begun in the folder; one that has not begun yet if there is none.

    All floors of a folder share their lines, and so their time zone. Whoever begins the first one sees a shift with
    hours behind it.
    """
    known = _read(data_dir)
    for one in known:
        if (one.seed, one.racks, one.once) == (seed, racks, once):
            return one
    zone = known[0].time_zone if known else min(crew.TIME_ZONES, key=lambda one: abs(HALF_SHIFT - _in_shift(now, one)))
    return Begun(seed, racks, once, seed + BLOCKS * sum(one.seed == seed for one in known), zone)


def _in_shift(now: datetime, time_zone: str) -> timedelta:
    """How long the shift has been on."""
    return (now - shift_start(now, time_zone)) % (2 * HALF_SHIFT)


def keep(data_dir: Path, begun: Begun) -> None:
    """Remember how far a floor is."""
    others = [one for one in _read(data_dir) if one.block != begun.block]
    folder.write_private(data_dir / FILE, json.dumps([asdict(one) for one in (*others, begun)], indent=1) + "\n")


def _read(data_dir: Path) -> list[Begun]:
    path = data_dir / FILE
    told = json.loads(path.read_text()) if path.exists() else []
    return [Begun(**{**one, "pauses": tuple(map(tuple, one["pauses"]))}) for one in told]


def shift_start(before: datetime, time_zone: str) -> datetime:
    """The newest start of an early shift that is not after a moment."""
    local = before.astimezone(ZoneInfo(time_zone))
    hour = int(crew.SHIFTS[0][1].partition(":")[0])
    start = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return start if start <= local else start - timedelta(days=1)
