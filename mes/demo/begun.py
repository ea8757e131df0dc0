"""What the demo began in a data folder: kept in a file, so that a demo that was stopped goes on where it was."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from mes.embedded import folder
from stations.floor import crew
from stations.floor.deeds import Clock

FILE: Final = "demo.json"
BLOCKS: Final = 1_000_000
"""Seeds below this have blocks of serials of their own; a second floor of the same seed takes the next so many."""


@dataclass(frozen=True)
class Begun:
    """One floor: by which seed, how many racks, and whether it ends; its block of serials, and its clock."""

    seed: int
    racks: int
    once: bool
    block: int
    began: str
    pause_at: float
    pause_s: float

    @property
    def clock(self) -> Clock:
        """When its seconds are."""
        return Clock(datetime.fromisoformat(self.began), self.pause_at, self.pause_s)


def block_for(data_dir: Path, seed: int, racks: int, once: bool) -> tuple[Begun | None, int]:
    """The floor of this seed that was begun in the folder, if there is one; the block of serials for it if not."""
    known = _read(data_dir)
    same = next((one for one in known if (one.seed, one.racks, one.once) == (seed, racks, once)), None)
    return same, seed + BLOCKS * sum(one.seed == seed for one in known)


def keep(data_dir: Path, begun: Begun) -> None:
    """Remember a floor."""
    told = [asdict(one) for one in (*_read(data_dir), begun)]
    folder.write_private(data_dir / FILE, json.dumps(told, indent=1) + "\n")


def _read(data_dir: Path) -> list[Begun]:
    path = data_dir / FILE
    return [Begun(**one) for one in json.loads(path.read_text())] if path.exists() else []


def shift_start(before: datetime) -> datetime:
    """The newest start of an early shift that is not after a moment."""
    local = before.astimezone(ZoneInfo(crew.TIME_ZONE))
    hour = int(crew.SHIFTS[0][1].partition(":")[0])
    start = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return start if start <= local else start - timedelta(days=1)
