"""Facts that the ERP or a person reports, rather than a station. They take a station's path into the record.

Unlike a station's, such a report is a request: what could only wait (an unknown part, a label already on another
unit) is refused, so that whoever sent it can mend it at once.
"""

from datetime import datetime

import msgspec
from sqlalchemy import select

from mes.commands.ingest import Settled, check, settle
from mes.db import tables
from mes.db.inbox import PENDING, REJECTED
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.formats.messages import Message, encode_event


def message(type: str, source: str, id: str, data: msgspec.Struct, at: datetime) -> Message:
    """A report as the message that a station would have sent."""
    body = encode_event(type, source, id, at, data)
    return Message(source, id, type, at, source, data, body, None)


async def report(database: Database, reported: Message, at: datetime) -> Settled:
    """Make a reported fact part of the record. Refuses it for the reasons for which a station's would have to wait."""
    (would_be,) = await check(database, [reported], at)
    if would_be.fate in (PENDING, REJECTED):
        raise Refusal(*would_be.reasons)
    (settled,) = await settle(database, [reported], at)
    return settled


async def first_said(database: Database, source: str, id: str, at: datetime) -> datetime:
    """When a report of this id came first, so that its repetition says the same; `at` if it never came."""
    table = tables.inbox
    came = select(table.c.received_at).where(table.c.source == source, table.c.id == id)
    async with database.reading() as connection:
        return (await connection.execute(came)).scalar_one_or_none() or at
