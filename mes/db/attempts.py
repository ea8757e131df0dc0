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
    "unit_id", "step", "number", "station", "run", "run_id", "started_at", "ended_at", "claim", "outcome", "counted",
    "deviations", "opened_key", "closed_key",
)  # fmt: skip


def _key(key: Key | None) -> bytes:
    return copying.text(key_text(key) if key else None)


def _row(unit_id: str, one: Attempt) -> bytes:
    opened_key = _key(one.opened_by)
    return copying.row(
        copying.uuid(unit_id),
        copying.word(one.step),
        copying.integer(one.number),
        copying.word(one.station),
        copying.text(one.run),
        copying.uuid(one.run_id),
        copying.moment(one.started_at),
        copying.moment(one.ended_at),
        copying.word(one.claim),
        copying.word(one.outcome),
        copying.truth(one.counted),
        copying.texts(one.deviations),
        opened_key,
        copying.NULL
        if one.closed_by is None
        else opened_key
        if one.closed_by == one.opened_by
        else _key(one.closed_by),
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
