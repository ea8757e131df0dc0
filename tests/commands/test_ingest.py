"""Messages become the record: applied once, in whatever order, or kept with the reason."""

import random

import pytest
from sqlalchemy import text

from mes.commands.ingest import check
from mes.commands.office import message
from mes.commands.products import put_product
from mes.formats.messages import PartReceived
from mes.formats.product_document import from_document
from tests.stage import GPU, Stage
from tests.stored_floor import assert_folded_from_journal, picture


async def test_a_tray_goes_through_its_route(stage: Stage) -> None:
    await stage.release("T1")
    settled = await stage.send([*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200)])
    assert [one.fate for one in settled] == ["applied"] * 6
    seen = await picture(stage.database)
    assert ("T1", "completed") in seen["units"]
    assert [(row[1], row[8]) for row in seen["attempts"]] == [("build", "pass"), ("test", "pass")]
    assert len(seen["stays"]) == 3
    await assert_folded_from_journal(stage.database)


async def test_said_again_is_done_once(stage: Stage) -> None:
    await stage.release("T1")
    messages = [*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200, run="r1")]
    await stage.send(messages)
    before = await picture(stage.database)
    assert {one.fate for one in await stage.send(messages)} == {"duplicate"}
    assert {one.fate for one in await stage.send([messages[0]] * 3)} == {"duplicate"}
    same_under_new_ids = [message._replace(id=message.id + "-again") for message in messages]
    assert {one.fate for one in await stage.send(same_under_new_ids)} == {"duplicate"}
    assert await picture(stage.database) == before


async def test_the_same_event_with_other_content_waits_for_a_person(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    first, second = stage.run("T1", "test", 200, run="r1"), stage.run("T1", "test", 200, power=1, run="r1")
    one, other = await stage.send([first, second])
    assert (one.fate, other.fate) == ("applied", "pending")
    assert [why.code for why in other.reasons] == ["conflicting_report"]
    assert await stage.settle_pending() == []


async def test_facts_that_are_too_early_wait_and_are_applied_without_help(stage: Stage) -> None:
    messages = [*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200)]
    settled = await stage.send(messages)
    assert {one.fate for one in settled} == {"pending"}
    assert settled[0].reasons[0].code == "unknown_unit"
    assert await stage.settle_pending() == []
    await stage.release("T1")
    assert [one.fate for one in await stage.settle_pending()] == ["applied"] * 6
    assert ("T1", "completed") in (await picture(stage.database))["units"]
    assert {one.fate for one in await stage.send(messages)} == {"duplicate"}
    await assert_folded_from_journal(stage.database)


async def test_an_unknown_station_and_an_unknown_part_wait(stage: Stage) -> None:
    await stage.release("T1")
    stranger = stage.message("started", "xx-9", 5, unit="T1", step="build")
    part = stage.install("T1", "GPU1", "G1", 5, part="NEVER-HEARD-OF")
    settled = await stage.send([stranger, part])
    assert [(one.fate, one.reasons[0].code) for one in settled] == [
        ("pending", "unknown_station"),
        ("pending", "unknown_part"),
    ]


async def test_a_broken_limit_fails_the_step_and_opens_a_nonconformance_until_a_retest_passes(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200, power=250)])
    seen = await picture(stage.database)
    assert ("T1", "nonconforming") in seen["units"]
    assert [row[4] for row in seen["nonconformances"]] == ["open"]
    await stage.send([stage.run("T1", "test", 400)])
    seen = await picture(stage.database)
    assert ("T1", "completed") in seen["units"]
    assert [row[4] for row in seen["nonconformances"]] == ["closed"]
    await assert_folded_from_journal(stage.database)


async def test_operators_mistakes_are_applied_with_what_was_odd(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([stage.install("T1", "GPU1", "G1", 10)])
    settled = await stage.send(
        [
            stage.install("T1", "GPU1", "G1", 11),
            stage.install("T1", "GPU2", "G1", 12),
            stage.install("T1", "GPU2", "G2", 13),
            stage.install("T1", "NOWHERE", "G3", 14),
            stage.install("T1", "GPU1", "S1", 15, part="SCREW-1"),
            stage.remove("T1", "GPU1", "G9", 16),
        ]
    )
    assert {one.fate for one in settled} == {"applied"}
    codes = [{why.code for why in one.reasons} - {"not_received"} for one in settled]
    assert codes == [
        {"already_installed"},
        {"already_installed"},
        {"position_occupied"},
        {"position_unknown"},
        {"wrong_part"},
        {"not_installed"},
    ]


def _story(stage: Stage) -> list:
    """A day with swaps, an early removal, equal times, a fail, a retest, a part moved to another tray."""
    return [
        *stage.build("T1", 0, "G1", "G2"),
        stage.run("T1", "test", 200, power=250, run="r1"),
        stage.remove("T1", "GPU1", "G1", 300),
        stage.install("T1", "GPU1", "G3", 300),
        stage.run("T1", "test", 500, run="r2"),
        *stage.build("T2", 600, "G1", "G4"),
        stage.install("T2", "GPU2", "G2", 700),
        stage.install("T1", "GPU2", "G4", 700),
        stage.run("T2", "test", 900, run="r3"),
        stage.run("T1", "test", 900, run="r4"),
        stage.message("packed", "as-1", 1000, unit="T2"),
        stage.message("shipped", "as-1", 1100, unit="T2"),
        stage.message("received", "as-1", -100, part="GPU-1", serial="G1"),
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_order_batches_and_repeats_never_matter(stage: Stage, seed: int) -> None:
    await stage.release("T1", "T2")
    messages = _story(stage)
    chance = random.Random(seed)
    if seed:
        chance.shuffle(messages)
        messages += chance.sample(messages, 6)
    while messages:
        size = chance.choice((1, 2, 5)) if seed else len(messages)
        settled = await stage.send(messages[:size])
        assert {one.fate for one in settled} <= {"applied", "duplicate"}, settled
        messages = messages[size:]
    await assert_folded_from_journal(stage.database)
    seen = await picture(stage.database)
    assert dict(seen["units"])["T2"] == "shipped"
    assert [(row[0], row[1], row[2]) for row in seen["stays"] if row[6] is None] == [
        ("T1", "GPU1", "G3"),
        ("T1", "GPU2", "G4"),
        ("T1", "SCREWS", None),
        ("T2", "GPU1", "G1"),
        ("T2", "GPU2", "G2"),
        ("T2", "SCREWS", None),
    ]


async def test_what_the_mes_can_not_store_is_set_aside_and_the_rest_goes_on(stage: Stage) -> None:
    await stage.release("T1")
    async with stage.database.transaction() as connection:
        # Stands for any fault of ours that only one message meets.
        await connection.execute(text("ALTER TABLE attempt ADD CONSTRAINT no_nine CHECK (run <> 'r9')"))
    good = [*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200, run="r8")]
    bad = stage.run("T1", "test", 300, run="r9")
    (foreseen,) = await check(stage.database, [bad], stage.now)
    settled = await stage.send([*good[:3], bad, *good[3:]])
    assert [one.fate for one in settled] == ["applied"] * 3 + ["pending"] + ["applied"] * 3
    assert [why.code for why in settled[3].reasons] == ["not_applied"]
    assert foreseen == settled[3]
    assert {one.fate for one in await stage.send([bad])} == {"pending"}
    await assert_folded_from_journal(stage.database)
    async with stage.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE attempt DROP CONSTRAINT no_nine"))
        await connection.execute(text("UPDATE message SET waits_for = '{retry:}'"))
    assert [one.fate for one in await stage.settle_pending()] == ["applied"]


async def test_a_report_from_the_office_that_had_to_wait_is_tried_again(stage: Stage) -> None:
    data = PartReceived("NEW-1", stage.now, serial="N1")
    waiting = message("mes.part.received", "rest/goods-receipts", "g1", data, stage.now)
    (settled,) = await stage.send([waiting])
    assert settled.fate == "pending"
    async with stage.database.transaction() as connection:
        await put_product(connection, from_document({**GPU, "part": "NEW-1"}), stage.act())
    assert [one.fate for one in await stage.settle_pending()] == ["applied"]


async def test_numbers_at_the_edge_of_what_json_and_doubles_hold_are_kept(stage: Stage) -> None:
    await stage.release("T1")
    values = [2**62, -(2**62), 1e308, 5e-324, [2**60, 0.1, None], "text", True]
    measured = [{"name": f"m{number}", "value": value} for number, value in enumerate(values)]
    run = stage.message(
        "run",
        "ft-1",
        unit="T1",
        step="test",
        started_at="2026-11-02T08:00:00Z",
        ended_at="2026-11-02T08:01:00Z",
        outcome="pass",
        measurements=[*measured, {"name": "power", "value": 2**62, "unit": "W"}],
    )
    (settled,) = await stage.send([run])
    assert settled.fate == "applied"
    await assert_folded_from_journal(stage.database)


async def test_a_step_that_needs_values_does_not_pass_by_a_bare_word(stage: Stage) -> None:
    await stage.release("T1")
    word = stage.message("completed", "ft-1", 200, unit="T1", step="test", outcome="pass")
    settled = await stage.send([*stage.build("T1", 0, "G1", "G2"), word])
    assert "characteristic_missing" in {why.code for why in settled[-1].reasons}
    assert ("T1", "in_process") in (await picture(stage.database))["units"]
    await stage.send([stage.run("T1", "test", 400)])
    assert ("T1", "completed") in (await picture(stage.database))["units"]
    await assert_folded_from_journal(stage.database)
