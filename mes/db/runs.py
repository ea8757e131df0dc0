"""Runs: immutable records, their values in arrays against a layout that all runs of the same shape share."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver
from mes.domain.cable import ConnectionVerdict
from mes.domain.limits import JudgedMeasurement
from mes.domain.refusals import Reason
from mes.domain.run import Defect, Judgement


class RunRecord(NamedTuple):
    """One reported attempt with its judgement, ready to be stored."""

    id: str
    unit_id: str
    product_id: str | None
    step: str
    station: str
    run: str | None
    purpose: str
    started_at: datetime
    ended_at: datetime
    received_at: datetime
    operator: int | None
    fixture: str | None
    program: str | None
    program_version: str | None
    claim: str
    judgement: Judgement
    defects: tuple[Defect, ...]
    digest: str


class Layout(NamedTuple):
    """What was measured, without the values."""

    names: list[str]
    units: list[str | None]
    lows: list[float | None]
    highs: list[float | None]
    positions: list[str | None]

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()


_layout_ids: dict[tuple[str, str], str] = {}
"""Layout ids this process has seen committed, by database and digest."""
LAYOUTS_KNOWN_MAX = 50_000


def layout_of(measured: Sequence[JudgedMeasurement]) -> Layout:
    """The layout of a run's measurements, in the units and limits that were in force."""
    return Layout(
        [one.name for one in measured],
        [one.unit for one in measured],
        [one.low for one in measured],
        [one.high for one in measured],
        [one.position for one in measured],
    )


def is_number(value: Any) -> bool:
    """Whether a value goes into the numeric array; truth values and texts don't."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def connection_plain(one: ConnectionVerdict) -> dict[str, Any]:
    """A connection's verdict as it is stored and shown."""
    return {name: list(value) if name == "endpoints" else value for name, value in one._asdict().items()}


def reasons_plain(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Reasons as they are stored and shown."""
    return [{"code": one.code, "text": one.text, "facts": one.facts} for one in reasons]


_COLUMNS = (
    "id", "unit_id", "product_id", "step", "station", "run", "purpose", "started_at", "ended_at", "received_at",
    "operator", "fixture", "program", "program_version", "claim", "verdict", "reasons", "layout_id", "numbers",
    "others", "verdicts", "connections", "defects", "digest",
)  # fmt: skip


async def store_runs(connection: AsyncConnection, runs: Sequence[RunRecord]) -> None:
    """COPY runs in; layouts not seen before are added first."""
    if not runs:
        return
    layouts = {one.id: layout_of(one.judgement.measured) for one in runs if one.judgement.measured}
    ids = await _layout_ids_of(connection, {layout.digest: layout for layout in layouts.values()})
    rows = [_row(one, ids[layouts[one.id].digest] if one.id in layouts else None) for one in runs]
    await (await driver(connection)).copy_records_to_table("run", columns=_COLUMNS, records=rows)


def _row(one: RunRecord, layout_id: str | None) -> tuple[Any, ...]:
    measured = one.judgement.measured
    values = [measurement.value for measurement in measured]
    others = {str(at): value for at, value in enumerate(values) if value is not None and not is_number(value)}
    return (
        *one[:15],
        one.judgement.verdict,
        _text(reasons_plain(one.judgement.reasons)),
        layout_id,
        [float(value) if is_number(value) else None for value in values] if measured else None,
        _text(others) if others else None,
        [measurement.verdict for measurement in measured] if measured else None,
        _text([connection_plain(wire) for wire in one.judgement.connections]) if one.judgement.connections else None,
        _text([defect._asdict() for defect in one.defects]) if one.defects else None,
        one.digest,
    )


def _text(value: Any) -> str:
    # Not canonical JSON: that has no whole numbers beyond 2^53, and a station may well have measured one.
    return msgspec.json.encode(value, order="sorted").decode()


async def _layout_ids_of(connection: AsyncConnection, layouts: dict[str, Layout]) -> dict[str, str]:
    """Ids of layouts by digest. Only ids read back are remembered: one just added may yet be rolled back."""
    database = str(connection.engine.url)
    missing = [digest for digest in layouts if (database, digest) not in _layout_ids]
    ids = {digest: _layout_ids[database, digest] for digest in layouts if (database, digest) in _layout_ids}
    if not missing:
        return ids
    raw = await driver(connection)
    known = await raw.fetch("SELECT digest, id::text FROM layout WHERE digest = ANY($1::text[])", missing)
    if len(_layout_ids) > LAYOUTS_KNOWN_MAX:
        _layout_ids.clear()
    for digest, layout_id in known:
        ids[digest] = _layout_ids[database, digest] = layout_id
    for digest in sorted(set(missing) - ids.keys()):
        # DO UPDATE, not DO NOTHING: it waits for another writer of the same layout and returns that one's id.
        ids[digest] = await raw.fetchval(
            """
            INSERT INTO layout (id, digest, names, units, lows, highs, positions) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id::text
            """,
            new_id(),
            digest,
            *layouts[digest],
        )
    return ids


async def operator_numbers(connection: AsyncConnection, names: Iterable[str]) -> dict[str, int]:
    """The number of each operator, new ones added: the record holds numbers, so that a name can be erased."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    raw = await driver(connection)
    await raw.execute(
        """
        INSERT INTO operator (name)
        SELECT asked.name FROM unnest($1::text[]) AS asked (name)
        WHERE NOT EXISTS (SELECT FROM operator o WHERE o.name = asked.name)
        ON CONFLICT (name) DO NOTHING
        """,
        wanted,
    )
    rows = await raw.fetch("SELECT name, number FROM operator WHERE name = ANY($1::text[])", wanted)
    return {row["name"]: row["number"] for row in rows}
