"""Facts and decisions as the journal holds them: written into an entry's data, read back for a fold.

The journal is the only store of facts: what a unit is folded from again is what the auditor reads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import moment
from mes.db.session import driver
from mes.domain import facts
from mes.domain.facts import Entry, Station, What
from mes.domain.watch import Excursion

TYPES: dict[type, str] = {
    facts.PartReceived: "mes.part.received",
    facts.UnitIdentified: "mes.unit.identified",
    facts.MaterialUnloaded: "mes.material.unloaded",
    facts.MaterialLoaded: "mes.material.loaded",
    facts.StepAnswered: "mes.step.answered",
    facts.StepStarted: "mes.unit.step.started",
    facts.SamplesTaken: "mes.samples.taken",
    facts.InventoryRead: "mes.inventory.read",
    facts.PartRemoved: "mes.part.removed",
    facts.PartInstalled: "mes.part.installed",
    facts.StepCompleted: "mes.unit.step.completed",
    facts.RunReported: "mes.run.judged",
    facts.RunRecorded: "mes.run.extended",
    facts.RunInterrupted: "mes.run.interrupted",
    facts.Disposed: "mes.nonconformance.disposed",
    facts.UnitPacked: "mes.unit.packed",
    facts.UnitShipped: "mes.unit.shipped",
    facts.ShipmentDecided: "mes.unit.shipped",
}
"""The journal's type of each kind of fact and decision."""

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(What)}
_TIMES = frozenset({"started_at", "ended_at", "valid_until", "start"})


def entry_data(entry: Entry) -> dict[str, Any]:
    """A fact or decision as the journal's `data.fact`: what it is, when, who said it, and its own fields."""
    key, what = entry
    return {
        "kind": type(what).__name__,
        "at": moment(key.at),
        "source": key.source,
        "id": key.id,
        "what": {
            name: value if type(value) is str else _plain(value)
            for name, value in zip(what._fields, what, strict=True)
            if value is not None
        },
    }


def _plain(value: Any) -> Any:
    writer = _WRITERS.get(type(value))
    return writer(value) if writer else value


_WRITERS: Mapping[type, Callable[[Any], Any]] = {
    datetime: moment,
    Decimal: lambda value: format(value, "f"),
    Station: lambda value: {"name": value.name, "kind": value.kind},
    tuple: lambda value: [list(pair) for pair in value],
}


def entry_from(data: dict[str, Any]) -> Entry:
    """The fact or decision that `entry_data` wrote."""
    kind = _KINDS[data["kind"]]
    told = {name: _value(name, value) for name, value in data["what"].items()}
    fields = {name: told.get(name) for name in kind._fields}  # what is None was left out
    return facts.entry(datetime.fromisoformat(data["at"]), data["source"], data["id"], kind(**fields))


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return datetime.fromisoformat(value)
    if name == "quantity":
        return Decimal(value)
    if name == "station":
        return Station(value["name"], value["kind"])
    if name == "excursions":
        return tuple(Excursion(*one) for one in value if len(one) == len(Excursion._fields))
    if name == "identifiers":
        return tuple((kind, text) for kind, text in value)
    return value


def entries_in(bodies: Iterable[str | bytes]) -> list[Entry]:
    """The facts and decisions among journal entries, given as their bodies."""
    found = []
    for body in bodies:
        data = msgspec.json.decode(body)["data"]
        if "fact" in data:
            found.append(entry_from(data["fact"]))
    return found


async def entries_of(
    connection: AsyncConnection, subjects: Sequence[str], since: datetime | None = None
) -> list[Entry]:
    """All facts and decisions that name any of the units, once each; with `since`, those effective then or later."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT DISTINCT j.id, j.body FROM journal_subject s JOIN journal j ON j.id = s.entry_id
        WHERE s.subject_id = ANY($1::uuid[]) AND s.effective_at >= coalesce($2, '-infinity'::timestamptz)
        """,
        list(subjects),
        since,
    )
    return entries_in(row["body"] for row in rows)
