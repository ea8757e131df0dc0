"""Attempts of steps, as folded: rows follow the fold, the facts they follow from are in the journal."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying
from mes.db.keys import key_text
from mes.db.session import driver
from mes.domain.facts import Key
from mes.domain.unit import Attempt

_COLUMNS: Final = (
    "unit_id", "step", "station", "claim", "outcome", "number", "run", "run_id", "started_at", "ended_at", "counted",
    "deviations", "opened_key", "closed_key",
)  # fmt: skip
_row_head: Final = copying.row_head(len(_COLUMNS))


def _key(key: Key) -> bytes:
    return copying.text(key_text(key))


def _row(unit_id: str, one: Attempt) -> bytes:
    opened_key, closed_by = _key(one.opened_by), one.closed_by
    return b"".join(
        (
            _row_head,
            copying.known_uuid(unit_id),
            copying.words(one.step, one.station, one.claim, one.outcome),
            copying.integer(one.number),
            copying.text(one.run),
            copying.uuid(one.run_id),
            copying.moment(one.started_at),
            copying.moment(one.ended_at),
            copying.truth(one.counted),
            copying.texts(one.deviations),
            opened_key,
            copying.NULL if closed_by is None else opened_key if closed_by == one.opened_by else _key(closed_by),
        )
    )


async def save_attempts(
    connection: AsyncConnection, attempts: Iterable[tuple[str, Attempt]], opened_now: Collection[Key]
) -> None:
    """Store attempts of units, given as (unit id, attempt); the last of each number wins.

    `opened_now` are the keys of those that this transaction opened. The others have a row, which is written anew.
    """
    newest = {(unit_id, one.step, one.number): one for unit_id, one in attempts}
    if not newest:
        return
    known = [name for name, one in newest.items() if one.opened_by not in opened_now]
    if known:
        await (await driver(connection)).execute(
            """
            DELETE FROM attempt a USING unnest($1::uuid[], $2::text[], $3::int[]) AS k (unit_id, step, number)
            WHERE a.unit_id = k.unit_id AND a.step = k.step AND a.number = k.number
            """,
            *zip(*known, strict=True),
        )
    rows = [_row(unit_id, one) for (unit_id, _, _), one in newest.items()]
    await copying.copy_in(connection, "attempt", _COLUMNS, rows)


async def replace_attempts(connection: AsyncConnection, attempts: Mapping[str, Sequence[Attempt]]) -> None:
    """Store all attempts of units, by unit id, after they were folded again: numbers may have moved."""
    await (await driver(connection)).execute("DELETE FROM attempt WHERE unit_id = ANY($1::uuid[])", list(attempts))
    all_of_them = [(unit_id, one) for unit_id, some in attempts.items() for one in some]
    await save_attempts(connection, all_of_them, {one.opened_by for _, one in all_of_them})
