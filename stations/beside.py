"""Programs that speak as a station for a moment, beside its own client: a shell that pushes a file, an agent per test.

Several may run at a time, so each takes the first spool of its kind that no other has open. What one leaves behind,
the next one sends; `left` finds what nobody took up.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from stations.spool import Spool, SpoolInUseError, default_path

AT_ONCE_MAX: Final = 256


class Place(NamedTuple):
    """A spool, and the name of the program that has it, unique among those that speak as the station."""

    spool: Spool
    beside: str


def take_place(station: str, program: str, folder: Path | None = None) -> Place:
    """The first place that is free. Raises `SpoolInUseError` when there is none."""
    for number in range(AT_ONCE_MAX):
        beside = f"{program}-{number}"
        with suppress(SpoolInUseError):
            return Place(Spool(default_path(station, beside, folder), station, wait_s=0), beside)
    raise SpoolInUseError(f"{AT_ONCE_MAX} programs speak as {station} already.")


def left(station: str, folder: Path | None = None) -> Iterator[Place]:
    """The spools of a station in which messages wait and that nobody has open; each is to be closed."""
    for path in sorted(default_path(station, "any", folder).parent.glob("*.spool")):
        with suppress(SpoolInUseError):
            spool = Spool(path, station, wait_s=0)
            if spool.waiting_messages:
                yield Place(spool, f"left-{path.stem}")
            else:
                spool.close()
