"""After a fold: the rows of runs that broke a watched limit while they were on say so."""

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.folding import Folded, Folding
from mes.db.broken_runs import tell_broken_runs
from mes.domain.live_limits import CODE
from mes.domain.product import Definition
from mes.domain.refusals import SENTENCES


async def tell_live_failures(connection: AsyncConnection, folding: Folding, folded: Folded) -> None:
    """Judge runs anew whose unit broke a limit now, or was folded again and may have: their rows are stored by now."""
    broken = {unit for unit, attempt in folded.attempts if CODE in attempt.deviations}
    again = {one.unit for one in folded.refolded if _watches(folding.units[one.unit].definition)}
    if units := broken | again:
        await tell_broken_runs(connection, units, CODE, SENTENCES[CODE])


def _watches(definition: Definition | None) -> bool:
    return definition is not None and any(one.beyond_s is not None for one in definition.characteristics)
