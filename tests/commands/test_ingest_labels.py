"""Labels, statuses, lots and orders: what facts do besides moving a unit along its route."""

import itertools

import pytest

from mes.commands.work_orders import Changes, change_order
from mes.db.session import driver
from tests.stage import START, Stage
from tests.stored_floor import assert_folded_from_journal, picture


async def _fetch(stage: Stage, sql: str) -> list[tuple]:
    async with stage.database.reading() as connection:
        return [tuple(row) for row in await (await driver(connection)).fetch(sql)]


def _relabel(stage: Stage, unit: str, serial: str, at: float) -> object:
    return stage.message("identified", "as-1", at, unit=unit, identifiers=[{"kind": "serial", "value": serial}])


async def test_a_relabelled_unit_stays_the_same_unit_and_answers_to_both_labels(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([stage.install("T1", "GPU1", "G1", 10)])
    (settled,) = await stage.send([_relabel(stage, "T1", "T1-NEW", 20)])
    assert settled.fate == "applied"
    old, new = await stage.send([stage.install("T1", "GPU2", "G2", 15), stage.screws("T1-NEW", 30)])
    assert (old.fate, new.fate) == ("applied", "applied")
    stays = (await picture(stage.database))["stays"]
    assert {row[0] for row in stays} == {"T1-NEW"}
    assert len(stays) == 3
    labels = await _fetch(
        stage, "SELECT value, upper_inf(during) FROM identifier WHERE part = 'TRAY-1' ORDER BY during"
    )
    assert labels == [("T1", False), ("T1-NEW", True)]


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
async def test_labels_end_the_same_in_whatever_order_they_come(stage: Stage, order: tuple[int, ...]) -> None:
    await stage.release("T1")
    for number in order:
        await stage.send([_relabel(stage, "T1", f"L{number}", number * 10)])
    await stage.settle_pending()
    labels = await _fetch(
        stage, "SELECT value, upper_inf(during) FROM identifier WHERE part = 'TRAY-1' ORDER BY during"
    )
    assert labels == [("T1", False), ("L1", False), ("L2", False), ("L3", True)]
    assert (await _fetch(stage, "SELECT serial FROM unit WHERE part = 'TRAY-1'")) == [("L3",)]


async def test_a_label_that_another_unit_carries_waits_for_a_person(stage: Stage) -> None:
    await stage.release("T1", "T2")
    (settled,) = await stage.send([_relabel(stage, "T1", "T2", 20)])
    assert (settled.fate, settled.reasons[0].code) == ("pending", "serial_taken")


async def test_an_older_status_never_replaces_a_newer_one(stage: Stage) -> None:
    late = stage.message("status", "ft-1", 5, state="running", since="2026-11-02T08:00:05Z")
    newest = stage.message("status", "ft-1", 9, state="down", since="2026-11-02T08:00:09Z", reason="fuse")
    await stage.send([newest])
    await stage.send([late])
    assert await _fetch(stage, "SELECT state, state_reason FROM station WHERE name = 'ft-1'") == [("down", "fuse")]


async def test_a_last_will_counts_from_its_arrival(stage: Stage) -> None:
    newest = stage.message("status", "ft-1", 9, state="running", since="2026-11-02T08:00:09Z")
    will = stage.message("status", "ft-1", 1, state="offline", since="2026-11-02T08:00:01Z", will=True)
    await stage.send([newest])
    await stage.send([will])
    assert await _fetch(stage, "SELECT state FROM station WHERE name = 'ft-1'") == [("offline",)]


async def test_an_order_is_completed_by_its_last_unit_and_reopened_by_a_late_failure(stage: Stage) -> None:
    await stage.release("T1", "T2")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("released",)]
    await stage.send([*stage.build("T2", 0, "G3", "G4"), stage.run("T2", "test", 200)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("completed",)]
    await stage.send([stage.run("T2", "test", 300, power=999)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("released",)]
    types = [
        row[0] for row in await _fetch(stage, "SELECT type FROM journal WHERE type LIKE 'mes.order.%' ORDER BY id")
    ]
    assert types == ["mes.order.created", "mes.order.released", "mes.order.completed", "mes.order.changed"]
    await assert_folded_from_journal(stage.database)


async def test_an_order_that_wants_fewer_units_than_were_made_is_completed_by_as_many(stage: Stage) -> None:
    await stage.release("T1", "T2", "T3")
    async with stage.database.transaction() as connection:  # as if the product's pattern had made them
        await (await driver(connection)).execute("UPDATE work_order SET serials = NULL")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200)])
    await stage.send([*stage.build("T2", 0, "G3", "G4")])
    async with stage.database.transaction() as connection:
        await change_order(connection, "WO-1", Changes(None, {"quantity": 2}), stage.act())
    assert await _fetch(stage, "SELECT state, units_made FROM work_order") == [("released", 3)]
    await stage.send([stage.run("T2", "test", 200)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("completed",)]
    await stage.send([stage.run("T1", "test", 300, power=999)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("released",)]
    await stage.send([*stage.build("T3", 0, "G5", "G6"), stage.run("T3", "test", 200)])
    assert await _fetch(stage, "SELECT state FROM work_order") == [("completed",)]


async def test_part_of_a_lot_taken_out_leaves_the_rest(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([stage.screws("T1", 10, quantity=6)])
    child = {"part": "SCREW-1", "lot": "LOT-1", "quantity": 2}
    await stage.send([stage.message("removed", "as-1", 20, parent="T1", position="SCREWS", child=child)])
    open_now = [row for row in (await picture(stage.database))["stays"] if row[6] is None]
    assert [(row[3], int(row[4])) for row in open_now] == [("LOT-1", 4)]
    await assert_folded_from_journal(stage.database)


async def test_a_corrected_belief_is_superseded_not_overwritten(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([stage.install("T1", "GPU1", "G2", 100)])
    await stage.send([stage.install("T1", "GPU1", "G1", 50)])
    rows = await _fetch(
        stage,
        """
        SELECT c.serial, upper_inf(i.during), i.superseded_at IS NULL FROM installation i
        JOIN unit c ON c.id = i.child_id ORDER BY i.recorded_at, lower(i.during)
        """,
    )
    # G2 is where it was, but its scan now displaced someone: that is noted on a row of its own.
    assert rows == [("G2", True, False), ("G1", False, True), ("G2", True, True)]
    await stage.send([stage.remove("T1", "GPU1", "G1", 70)])
    believed = [(row[2], row[5], row[6]) for row in (await picture(stage.database))["stays"]]
    at = {row[0]: (row[1] - START).total_seconds() for row in believed}
    assert at == {"G1": 50, "G2": 100}
    assert [row[2] and (row[2] - START).total_seconds() for row in believed] == [70, None]
    ((kept,),) = await _fetch(stage, "SELECT count(*) FROM installation WHERE superseded_at IS NOT NULL")
    assert kept == 3


async def test_a_message_that_contradicts_another_with_its_id_is_rejected(stage: Stage) -> None:
    await stage.release("T1")
    first = stage.message("started", "as-1", 1, id="same", unit="T1", step="build")
    other = stage.message("started", "as-1", 2, id="same", unit="T1", step="test")
    settled = await stage.send([first, other])
    assert [one.fate for one in settled] == ["applied", "rejected"]
    assert settled[1].reasons[0].code == "conflicting_report"
