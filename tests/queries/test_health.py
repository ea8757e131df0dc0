"""The numbers that an alarm watches say what is so."""

from sqlalchemy import text

from mes.db import sequencer
from mes.db.inbox import Body, keep
from mes.db.session import Database
from mes.queries.health import vitals
from tests.db.entries import AT, commit_entries


async def test_vitals_follow_the_journal_and_the_messages(database: Database) -> None:
    await commit_entries(database, 3)
    async with database.transaction() as connection:
        bodies = [
            Body(
                "st-01", "step", "stations/st-01", str(number), "mes.step.started", f"{number:064}", b"{}", fate, (), ()
            )
            for number, fate in enumerate(("pending", "pending", "rejected"))
        ]
        await keep(connection, bodies, AT)
    async with database.reading() as connection:
        before = await vitals(connection)
    assert (before.journal_entries, before.journal_unnumbered) == (0, 3)
    assert (before.messages_pending, before.messages_rejected) == (2, 1)
    await sequencer.number(database)
    async with database.reading() as connection:
        after = await vitals(connection)
    assert (after.journal_entries, after.journal_unnumbered, after.oldest_unnumbered_s) == (3, 0, 0.0)


async def test_counting_what_waits_does_not_read_the_journal(database: Database) -> None:
    """However long the journal is: only what is behind the head is looked at."""
    await commit_entries(database, 200)
    await sequencer.number(database)
    async with database.transaction() as connection:
        await connection.execute(text("ANALYZE journal"))
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await connection.execute(
            text(f"EXPLAIN {sequencer.UNNUMBERED.text}"), {"nil": sequencer.NIL, "most": sequencer.BACKLOG_MAX}
        )
        lines = "\n".join(plan.scalars())
    assert "ix_journal_xid" in lines
