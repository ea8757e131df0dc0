"""The journal: append-only, each entry the exact bytes of its canonical JSON.

An entry names each of its subjects (units, orders, lots, …) with that subject's own running number and the hash of
the subject's previous entry, so that nothing can be left out unseen. A subject's number and hash stand on its own row
and change only with that row locked. Positions come later, from `mes.db.sequencer`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import uuid_utils
from sqlalchemy import LargeBinary, Table, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying, tables
from mes.db.session import driver
from mes.formats.canonical import canonical

_encode = msgspec.json.Encoder().encode
CHANNEL = "mes_journal"
"""What is NOTIFYed when entries were written."""

SUBJECTS: Mapping[str, Table] = {
    "unit": tables.unit,
    "work_order": tables.work_order,
    "lot": tables.lot,
    "product": tables.product,
    "line": tables.line,
    "station": tables.station_journal,
    "hold": tables.hold,
    "nonconformance": tables.nonconformance,
}


def new_id() -> str:
    """A new UUIDv7 as text."""
    return str(uuid_utils.uuid7())


@dataclass(slots=True)
class Head:
    """Where a subject's chain of entries stands: how many name it, and the hash of the newest (hex)."""

    number: int
    hash: str | None


class Subject(NamedTuple):
    """One thing that an entry is about. `kind` is a key of SUBJECTS; `name` is what people call it."""

    kind: str
    id: str
    name: str


@dataclass(slots=True)
class Event:
    """An entry to be: its type, the subjects it names (the first is the CloudEvents subject) and its data.

    `effective_at` is set where it records a fact or decision that units are folded from; `name` where it is about
    something that keeps no chain (a message).
    """

    type: str
    subjects: Sequence[Subject]
    data: dict[str, Any] = field(default_factory=dict)
    effective_at: datetime | None = None
    name: str | None = None

    @property
    def subject(self) -> str:
        """The CloudEvents subject."""
        return self.name or self.subjects[0].name


class Written(NamedTuple):
    """An entry as it is stored."""

    id: str
    type: str
    body: bytes
    subjects: Sequence[tuple[str, int]]
    effective_at: datetime | None = None


def moment(at: datetime) -> str:
    """A moment as the journal writes it: RFC 3339 in UTC with microseconds."""
    text = _encode(at if at.tzinfo is UTC else at.astimezone(UTC)).decode()  # isoformat takes eight times as long
    return text[1:-1] if at.microsecond else f"{text[1:-2]}.000000Z"


def compose(event: Event, heads: Mapping[str, Head], site: str, at: datetime) -> Written:
    """The entry's bytes; moves the heads of its subjects on. Nothing is written yet.

    `heads` has the head of every subject by id; `at` is when it is recorded.
    """
    entry_id = new_id()
    # Once each: a mistaken scan may name one unit as parent and as child.
    subjects = event.subjects if len(event.subjects) < 2 else {one.id: one for one in event.subjects}.values()
    chained = [heads[subject.id] for subject in subjects]
    links = [_link(subject, head) for subject, head in zip(subjects, chained, strict=True)]
    body = canonical(
        {
            "specversion": "1.0",
            "id": entry_id,
            "source": f"mes/{site}",
            "type": event.type,
            "subject": event.subject,
            "time": moment(at),
            "datacontenttype": "application/json",
            "data": {**event.data, "subjects": links},
        }
    )
    digest = hashlib.sha256(body).hexdigest()
    for head in chained:
        head.hash = digest
    numbered = [(link["id"], link["number"]) for link in links]
    return Written(entry_id, event.type, body, numbered, event.effective_at)


def _link(subject: Subject, head: Head) -> dict[str, Any]:
    """How an entry continues the chain of one subject; counts it."""
    head.number += 1
    return {
        "kind": subject.kind,
        "id": subject.id,
        "name": subject.name,
        "number": head.number,
        "previous": head.hash,
    }


async def write(connection: AsyncConnection, entries: Sequence[Written], at: datetime) -> None:
    """COPY composed entries into the journal and wake who listens when this transaction commits."""
    if not entries:
        return
    recorded_at, rows, links = copying.moment(at), list[bytes](), list[bytes]()
    for one in entries:
        id = copying.uuid(one.id)
        rows.append(copying.row(id, recorded_at, copying.word(one.type), copying.binary(one.body)))
        effective_at = copying.moment(one.effective_at)
        for subject, number in one.subjects:
            links.append(copying.row(copying.known_uuid(subject), copying.integer(number), id, effective_at))
    await copying.copy_in(connection, "journal", ("id", "recorded_at", "type", "body"), rows)
    await copying.copy_in(connection, "journal_subject", ("subject_id", "number", "entry_id", "effective_at"), links)
    await (await driver(connection)).execute(f"NOTIFY {CHANNEL}")


async def load_heads(connection: AsyncConnection, subjects: Iterable[Subject]) -> dict[str, Head]:
    """Lock the subjects' rows, in id order within each kind, and read their heads."""
    heads: dict[str, Head] = {}
    wanted: dict[str, set[str]] = {}
    for subject in subjects:
        wanted.setdefault(subject.kind, set()).add(subject.id)
    for kind in sorted(wanted):
        table = SUBJECTS[kind]
        rows = await connection.execute(
            select(table.c.id, table.c.journal_number, table.c.journal_hash)
            .where(table.c.id.in_(wanted[kind]))
            .order_by(table.c.id)
            .with_for_update()
        )
        for row in rows:
            heads[row.id] = Head(row.journal_number, row.journal_hash.hex() if row.journal_hash else None)
    return heads


async def save_heads(connection: AsyncConnection, kinds: Mapping[str, str], heads: Mapping[str, Head]) -> None:
    """Store moved heads. `kinds` tells each subject id's kind."""
    by_kind: dict[str, list[str]] = {}
    for subject_id, kind in kinds.items():
        by_kind.setdefault(kind, []).append(subject_id)
    for kind, ids in by_kind.items():
        table = SUBJECTS[kind]
        moved = (
            func.unnest(
                bindparam("ids", type_=ARRAY(Text)),
                bindparam("numbers", type_=ARRAY(Text)),
                bindparam("hashes", type_=ARRAY(LargeBinary)),
            )
            .table_valued("id", "number", "hash")
            .render_derived(name="moved")
        )
        await connection.execute(
            update(table)
            .where(table.c.id == moved.c.id.cast(table.c.id.type))
            .values(journal_number=moved.c.number.cast(table.c.journal_number.type), journal_hash=moved.c.hash),
            {
                "ids": ids,
                "numbers": [str(heads[one].number) for one in ids],
                "hashes": [bytes.fromhex(heads[one].hash or "") for one in ids],
            },
        )


async def append(connection: AsyncConnection, events: Sequence[Event], *, site: str, at: datetime) -> list[Written]:
    """Write entries for what a command did: locks the subjects, chains, stores. The subjects' rows must exist."""
    subjects = [subject for event in events for subject in event.subjects]
    heads = await load_heads(connection, subjects)
    written = [compose(event, heads, site, at) for event in events]
    await write(connection, written, at)
    await save_heads(connection, {subject.id: subject.kind for subject in subjects}, heads)
    return written
