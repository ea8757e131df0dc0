"""Decisions join the facts: folded, journalled, kept when something older comes."""

from datetime import timedelta

from sqlalchemy import text

from mes.commands.decisions import Decision, decide
from mes.commands.folding import Folded, Folding
from mes.db.journal import Subject
from mes.db.units import units_named
from mes.domain.facts import Station, StepAnswered, entry
from tests.stage import Stage
from tests.stored_floor import assert_folded_from_journal


async def grant(stage: Stage, serial: str, id: str, for_s: float = 300) -> Folded:
    """Let a unit's step `build` start at as-1."""
    stage.now += timedelta(seconds=1)
    async with stage.database.transaction() as connection:
        (unit,) = (await units_named(connection, [serial]))[serial]
        until = stage.now + timedelta(seconds=for_s)
        what = StepAnswered(unit.id, "build", Station("as-1", "assembly"), True, until)
        subjects = (Subject("unit", unit.id, serial),)
        decision = Decision(entry(stage.now, "mes/main", id, what), subjects, {"grant": id})
        return await decide(Folding(connection, stage.now), "main", [decision])


async def test_a_grant_lets_the_step_start(stage: Stage) -> None:
    await stage.release("T1", "T2")
    await grant(stage, "T1", "g1")
    at = (stage.now - stage.now.replace(hour=8, minute=0, second=0)).total_seconds() + 1
    stage.now += timedelta(seconds=5)
    starts = [stage.message("started", "as-1", at, unit=unit, step="build") for unit in ("T1", "T2")]
    asked, not_asked = await stage.send(starts)
    assert [one.code for one in asked.reasons] == []
    assert [one.code for one in not_asked.reasons] == ["not_asked"]
    await assert_folded_from_journal(stage.database)


async def test_a_decision_is_journalled_with_what_it_says(stage: Stage) -> None:
    await stage.release("T1")
    await grant(stage, "T1", "g1")
    async with stage.database.reading() as connection:
        found = await connection.execute(text("SELECT body FROM journal WHERE type = 'mes.step.answered'"))
        (body,) = found.scalars()
    assert '"subject":"T1"' in body
    assert '"grant":"g1"' in body


async def test_a_decision_stays_when_something_older_comes(stage: Stage) -> None:
    await stage.release("T1")
    await grant(stage, "T1", "g1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    await assert_folded_from_journal(stage.database)
