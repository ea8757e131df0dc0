"""The slice of the floor that new installs and removals touch: no more of it is worked out again."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.entries import entries_of
from mes.db.installations import StoredStay, stays_touching
from mes.domain.assembly import Place, Stay
from mes.domain.facts import Entry, Key, PartInstalled, PartRemoved, UnitId

Lock = Callable[[Iterable[UnitId]], Awaitable[None]]


@dataclass(slots=True)
class AssemblySlice:
    """Everything about some children and some places from a moment on.

    `entries` are all installs and removals, recorded or new, effective at `since` or later; `stored` the stays
    believed until now that had not ended before it.
    """

    since: datetime
    entries: list[Entry]
    children: set[UnitId] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    stored: list[StoredStay] = field(default_factory=list)

    @property
    def open_before(self) -> list[Stay]:
        """The stays that were open just before `since`."""
        return [
            stored.stay._replace(until=None, removed_by=None)
            for stored in self.stored
            if stored.stay.since < self.since
        ]

    @property
    def units(self) -> set[UnitId]:
        """All units that are children or parents in it."""
        return self.children | {parent for parent, _ in self.places}

    def include(self, entry: Entry) -> None:
        """Add what an install or removal is about. Its parent's own whereabouts tell what contains what."""
        assert isinstance(entry.what, PartInstalled | PartRemoved)
        self.places.add((entry.what.parent, entry.what.position))
        self.children.add(entry.what.parent)
        if entry.what.child:
            self.children.add(entry.what.child)

    def concerns(self, entry: Entry) -> bool:
        """Whether an entry is about one of its children or places."""
        what = entry.what
        return isinstance(what, PartInstalled | PartRemoved) and (
            what.child in self.children or (what.parent, what.position) in self.places
        )


async def assembly_slice(connection: AsyncConnection, new: Sequence[Entry], lock: Lock) -> AssemblySlice:
    """The smallest slice that the new entries can change.

    What is found draws in more (who was displaced, where from, what the parent is in) until nothing is added; each
    round locks the units it found before it reads what is recorded of them.
    """
    found = AssemblySlice(min(entry.key.at for entry in new), list(new))
    for entry in new:
        found.include(entry)
    read: set[UnitId] = set()
    known = {entry.key for entry in new}
    recorded: list[Entry] = []
    size = -1
    while size != (size := len(found.children) + len(found.places)):
        unread = found.units - read
        if unread:
            await lock(unread)
            read |= unread
            recorded += await entries_of(connection, sorted(unread), found.since)
        _draw_in(found, recorded, known)
        found.stored = await stays_touching(connection, found.children, found.places, found.since)
        for stored in found.stored:
            found.places.add(stored.stay.place)
            if stored.stay.child:
                found.children.add(stored.stay.child)
    return found


def _draw_in(found: AssemblySlice, recorded: Iterable[Entry], known: set[Key]) -> None:
    """Add recorded entries about the slice's children and places, and what those are about, until none is left."""
    waiting = [entry for entry in recorded if entry.key not in known]
    drawn = True
    while drawn:
        drawn = False
        for entry in [entry for entry in waiting if entry.key not in known and found.concerns(entry)]:
            known.add(entry.key)
            found.entries.append(entry)
            found.include(entry)
            drawn = True
