"""Decisions: what the MES or a person decided about units, folded and journalled like the facts they join.

A decision is checked against its gate with the unit locked, then made once and for good in the same transaction:

    folding = Folding(connection, at)
    await folding.lock([unit_id])
    ...reasons_against_leaving(folding.units[unit_id].progress, ...)...
    await decide(folding, site, [Decision(entry(at, source, id, ShipmentDecided(unit_id)), subjects)])
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mes.commands.folding import Folded, Folding
from mes.commands.journalling import Recorder
from mes.db.journal import Subject
from mes.domain.facts import Entry
from mes.domain.refusals import Reason


class Decision(NamedTuple):
    """A decision on its way into the record: its entry, whom its journal entry names, and what that says besides.

    The first subject is the unit that it is about. `data` is JSON-able and stands beside the entry's own fields.
    """

    entry: Entry
    subjects: tuple[Subject, ...]
    data: dict[str, Any] = {}  # noqa: RUF012 - never changed
    deviations: tuple[Reason, ...] = ()
    events: tuple[Entry, ...] | None = None
    type: str | None = None


async def decide(
    folding: Folding, site: str, decisions: Sequence[Decision], recorded_at: datetime | None = None
) -> Folded:
    """Make decisions part of the record: folds, journals and saves. Units not locked yet are locked first.

    What is known by now against a decision is noted as its deviations; it is the caller who refuses. `recorded_at`:
    where that is later than the folding's moment, because the decision was made in the past.
    """
    folded = await folding.fold([one.entry for one in decisions], {})
    noted = [one._replace(deviations=(*one.deviations, *folded.deviations.get(one.entry.key, ()))) for one in decisions]
    await Recorder(folding.connection, site, recorded_at or folding.at).record(noted, folding, folded)
    return folded
