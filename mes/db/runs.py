"""Runs: immutable records, their values in arrays against a layout that all runs of the same shape share."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying
from mes.db.journal import new_id
from mes.db.session import driver
from mes.domain.cable import ConnectionVerdict
from mes.domain.limits import Value
from mes.domain.measured import Layout
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
    notes: dict[str, Any] | None = None


_layout_ids: dict[tuple[str, Layout], str] = {}
"""Ids of layouts that this process has seen committed, by database."""
LAYOUTS_KNOWN_MAX = 5_000
_encode = msgspec.json.Encoder(order="sorted").encode
_EMPTY_LIST = copying.text("[]")


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
    "id", "unit_id", "product_id",
    "step", "station", "purpose", "fixture", "program", "program_version", "claim", "verdict",
    "run", "started_at", "ended_at", "received_at", "operator", "reasons", "layout_id", "numbers", "others", "verdicts",
    "connections", "defects", "digest", "notes",
)  # fmt: skip
_row_head = copying.row_head(len(_COLUMNS))


async def store_runs(connection: AsyncConnection, runs: Sequence[RunRecord]) -> None:
    """COPY runs in; layouts not seen before are added first."""
    if not runs:
        return
    # By identity: runs of one shape share their layout, and comparing it for each would cost more than storing it.
    layouts = {id(layout): layout for one in runs if (layout := one.judgement.measured.layout).names}
    ids = await _layout_ids_of(connection, set(layouts.values()))
    packed = {key: copying.uuid(ids[layout]) for key, layout in layouts.items()}
    rows = [_row(one, packed.get(id(one.judgement.measured.layout), copying.NULL)) for one in runs]
    await copying.copy_in(connection, "run", _COLUMNS, rows)


def _row(one: RunRecord, layout_id: bytes) -> bytes:
    judgement = one.judgement
    numbers, others = _columns_of(judgement.measured.values)
    return b"".join(
        (
            _row_head,
            copying.uuid(one.id),
            copying.known_uuid(one.unit_id),
            copying.known_uuid(one.product_id),
            copying.words(
                one.step,
                one.station,
                one.purpose,
                one.fixture,
                one.program,
                one.program_version,
                one.claim,
                judgement.verdict,
            ),
            copying.text(one.run),
            copying.moment(one.started_at),
            copying.moment(one.ended_at),
            copying.moment(one.received_at),
            copying.integer(one.operator),
            _json(reasons_plain(judgement.reasons)) if judgement.reasons else _EMPTY_LIST,
            layout_id,
            copying.doubles(numbers) if numbers else copying.NULL,
            _json(others) if others else copying.NULL,
            copying.NULL if judgement.measured.all_passed else copying.texts(tuple(judgement.measured.verdicts)),
            _json([connection_plain(wire) for wire in judgement.connections])
            if judgement.connections
            else copying.NULL,
            _json([defect._asdict() for defect in one.defects]) if one.defects else copying.NULL,
            copying.text(one.digest),
            _json(one.notes) if one.notes else copying.NULL,
        )
    )


def _columns_of(values: Sequence[Value]) -> tuple[Sequence[float | None], dict[str, Value]]:
    """The values that are numbers, None where not, and the others by index."""
    if set(map(type, values)) <= {float}:
        return values, {}
    others = {str(at): value for at, value in enumerate(values) if value is not None and not is_number(value)}
    return [float(value) if is_number(value) else None for value in values], others


def _json(value: Any) -> bytes:
    # Not canonical JSON: that has no whole numbers beyond 2^53, and a station may well have measured one.
    return copying.binary(_encode(value))


async def _layout_ids_of(connection: AsyncConnection, layouts: Collection[Layout]) -> dict[Layout, str]:
    """Ids of layouts. Only ids read back are remembered: one just added may yet be rolled back."""
    database = str(connection.engine.url)
    ids = {layout: known for layout in layouts if (known := _layout_ids.get((database, layout)))}
    missing = {_digest(layout): layout for layout in layouts if layout not in ids}
    if not missing:
        return ids
    raw = await driver(connection)
    known = await raw.fetch("SELECT digest, id::text FROM layout WHERE digest = ANY($1::text[])", list(missing))
    if len(_layout_ids) > LAYOUTS_KNOWN_MAX:
        _layout_ids.clear()
    for digest, layout_id in known:
        ids[missing[digest]] = _layout_ids[database, missing.pop(digest)] = layout_id
    for digest in sorted(missing):
        # DO UPDATE, not DO NOTHING: it waits for another writer of the same layout and returns that one's id.
        ids[missing[digest]] = await raw.fetchval(
            """
            INSERT INTO layout (id, digest, names, units, lows, highs, positions) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id::text
            """,
            new_id(),
            digest,
            *missing[digest],
        )
    return ids


def _digest(layout: Layout) -> str:
    """The SHA-256 of a layout, hex."""
    return hashlib.sha256(repr(tuple(layout)).encode()).hexdigest()


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
