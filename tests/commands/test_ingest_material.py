"""Lots loaded at stations end in the units that took from them, whatever comes in what order."""

import asyncio
import json
import random
from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from mes.commands.asking import answer
from mes.commands.holds import place, release
from mes.commands.ingest import settle
from mes.db.session import driver
from mes.formats.messages import Message, decode
from tests.stage import GPU, TRAY, Stage, time
from tests.stored_floor import assert_folded_from_journal

STAYS = """
    SELECT p.serial, l.lot, i.part, i.quantity, i.deviations, (
        SELECT array_agg(one.lot ORDER BY one.lot) FROM lot one WHERE one.id = ANY(i.loaded)) AS loaded
    FROM installation i JOIN unit p ON p.id = i.parent_id LEFT JOIN lot l ON l.id = i.lot_id
    WHERE i.superseded_at IS NULL AND i.child_id IS NULL ORDER BY 1, lower(i.during)
"""
LOADINGS = """
    SELECT g.station, g.place, l.lot, lower(g.during)::text, upper(g.during)::text, g.quantity, g.quantity_left
    FROM loading g JOIN lot l ON l.id = g.lot_id WHERE g.superseded_at IS NULL ORDER BY 1, 2, lower(g.during)
"""
SCREW: dict[str, Any] = {**GPU, "part": "SCREW-1", "name": "Screw", "tracking": "lot"}


async def rows(stage: Stage, sql: str) -> list[tuple[Any, ...]]:
    async with stage.database.reading() as connection:
        return [tuple(row) for row in await (await driver(connection)).fetch(sql)]


async def held(stage: Stage) -> dict[str, str | None]:
    """The lot of the screws in each unit."""
    return {serial: lot for serial, lot, *_ in await rows(stage, STAYS)}


async def codes(stage: Stage, *messages: Message) -> list[list[str]]:
    settled = await stage.send(messages)
    assert {one.fate for one in settled} == {"applied"}
    return [[why.code for why in one.reasons] for one in settled]


async def refolded(stage: Stage) -> list[str]:
    sql = "SELECT body::json ->> 'subject' FROM journal WHERE type = 'mes.unit.refolded' ORDER BY id"
    return [name for (name,) in await rows(stage, sql)]


async def receive(stage: Stage, *lots: str) -> None:
    await stage.send([stage.message("received", "as-1", -60, part="SCREW-1", lot=lot, quantity=99) for lot in lots])


async def test_an_installation_takes_its_lot_from_the_station(stage: Stage) -> None:
    await stage.release("T1", "T2", "T3")
    await receive(stage, "L1", "L2")
    said = [stage.load("L1", 0, quantity=2000), stage.draw("T1", 1), stage.load("L2", 2), stage.draw("T2", 2)]
    assert await codes(stage, *said) == [[], [], ["lot_replaced"], []]
    assert await codes(stage, stage.unload("L2", 3, quantity=40), stage.draw("T3", 4)) == [[], ["not_loaded"]]
    assert await held(stage) == {"T1": "L1", "T2": "L2", "T3": None}
    assert [row[2:] for row in await rows(stage, LOADINGS)] == [
        ("L1", *_from_to(0, 2), 2000, None),
        ("L2", *_from_to(2, 3), None, 40),
    ]
    assert await refolded(stage) == []
    await assert_folded_from_journal(stage.database)


def _from_to(since: float, until: float) -> tuple[str, str]:
    return time(since).replace("T", " ").replace("+00:00", "+00"), time(until).replace("T", " ").replace(
        "+00:00", "+00"
    )


async def test_a_mount_that_comes_late_changes_what_was_built(stage: Stage) -> None:
    """The station that loads was offline for the whole day."""
    await stage.release("T1", "T2", "T3")
    await receive(stage, "L1", "L2", "L3")
    first = [*stage.build("T1", 0, "G1", "G2"), stage.load("L3", 200), stage.draw("T2", 250)]
    await stage.send([first[0], first[1], first[2], stage.draw("T1", 30), *first[4:]])
    assert await held(stage) == {"T1": None, "T2": "L3"}
    assert await codes(stage, stage.load("L1", 0)) == [[]]
    assert await held(stage) == {"T1": "L1", "T2": "L3"}
    assert await refolded(stage) == ["T1"]
    # The lot was changed before the second tray was built, as becomes known last.
    assert await codes(stage, stage.load("L2", 220)) == [["lot_replaced"]]
    assert await held(stage) == {"T1": "L1", "T2": "L2"}
    assert await refolded(stage) == ["T1", "T2"]
    await assert_folded_from_journal(stage.database)
    believed = await rows(stage, "SELECT count(*) FROM installation WHERE superseded_at IS NOT NULL")
    assert believed == [(2,)]


async def test_of_two_feeders_it_is_one(stage: Stage) -> None:
    await stage.release("T1")
    await receive(stage, "L1", "L2")
    await stage.send([stage.load("L1", 0, place="F1"), stage.load("L2", 0, place="F2")])
    assert await codes(stage, stage.draw("T1", 1)) == [["lot_ambiguous"]]
    ((_, lot, *_, loaded),) = await rows(stage, STAYS)
    assert (lot, loaded) == (None, ["L1", "L2"])
    assert await codes(stage, stage.unload("L2", 0.5, place="F2")) == [[]]
    assert await held(stage) == {"T1": "L1"}
    await assert_folded_from_journal(stage.database)


async def test_what_is_odd_is_noted(stage: Stage) -> None:
    await receive(stage, "L1")
    odd = [
        stage.load("L1", 0),
        stage.load("L1", 1),
        stage.unload("L1", 2, place="F9"),
        stage.load("NEW", 3, place="F1"),
    ]
    assert await codes(stage, *odd) == [[], ["already_loaded"], ["not_loaded"], ["not_received"]]
    assert len(await rows(stage, LOADINGS)) == 2


async def test_a_lot_on_hold_is_noted_when_it_is_loaded(stage: Stage) -> None:
    await receive(stage, "L1")
    async with stage.database.transaction() as connection:
        await place(connection, "lot", "L1", "porous", stage.act())
    assert await codes(stage, stage.load("L1", 0)) == [["on_hold"]]


async def test_said_twice_done_once(stage: Stage) -> None:
    await receive(stage, "L1")
    once = stage.load("L1", 0, quantity=10)
    other_name = stage.load("L1", 0, quantity=10)
    other_content = stage.load("L1", 0, quantity=11)
    settled = await stage.send([once, once, other_name, other_content])
    assert [one.fate for one in settled] == ["applied", "duplicate", "duplicate", "pending"]
    assert [why.code for why in settled[3].reasons] == ["conflicting_report"]


async def test_what_is_not_known_yet_waits(stage: Stage) -> None:
    await stage.release("T1")
    waiting = [stage.load("L1", 0, part="PASTE"), stage.load("L1", 0, station="as-9")]
    settled = await stage.send(waiting)
    assert [(one.fate, one.reasons[0].code) for one in settled] == [
        ("pending", "unknown_part"),
        ("pending", "unknown_station"),
    ]
    await stage.set_up({**SCREW, "part": "PASTE"})
    assert [one.fate for one in await stage.settle_pending()] == ["applied"]


async def test_a_part_with_serials_needs_its_serial(stage: Stage) -> None:
    await stage.release("T1")
    child = {"part": "GPU-1", "quantity": 1}
    said = stage.message("installed", "as-1", 1, parent="T1", position="GPU1", child=child)
    (settled,) = await stage.send([said])
    assert (settled.fate, [why.code for why in settled.reasons]) == ("pending", ["serial_missing"])


async def test_bulk_is_missed_by_nobody(stage: Stage) -> None:
    await stage.set_up({**SCREW, "tracking": "bulk"})
    await stage.release("T1", "T2")
    assert await codes(stage, stage.draw("T1", 1)) == [[]]
    assert await held(stage) == {"T1": None}
    await stage.send([stage.load("L1", 2), stage.draw("T2", 3)])
    assert await held(stage) == {"T1": None, "T2": "L1"}
    await assert_folded_from_journal(stage.database)


async def test_a_wrong_part_fills_nothing(stage: Stage) -> None:
    other = deepcopy(TRAY) | {"part": "TRAY-2"}
    other["bom"][1]["part"] = "SCREW-2"
    await stage.set_up(other)
    await stage.release("T1")
    await stage.send([stage.load("L9", 0, part="SCREW-2"), stage.load("L1", 0)])
    assert await codes(stage, stage.draw("T1", 1, part="SCREW-2")) == [["wrong_part"]]
    ended = stage.message("completed", "as-1", 2, unit="T1", step="build", outcome="pass")
    assert "as_built_incomplete" in (await codes(stage, ended))[0]


async def test_material_is_taken_out_by_its_part_or_by_its_lot(stage: Stage) -> None:
    await stage.release("T1", "T2")
    await stage.send([stage.load("L1", 0), stage.draw("T1", 1), stage.draw("T2", 1)])

    def out(unit: str, at: float, **child: Any) -> Message:
        return stage.message(
            "removed", "as-1", at, parent=unit, position="SCREWS", child={"part": "SCREW-1", "quantity": 4, **child}
        )

    assert await codes(stage, out("T1", 2), out("T2", 3, lot="L1"), out("T2", 4)) == [[], [], ["not_installed"]]
    await assert_folded_from_journal(stage.database)


async def test_the_journal_names_lot_and_station(stage: Stage) -> None:
    await stage.release("T1")
    await receive(stage, "L1")
    await stage.send([stage.load("L1", 0), stage.draw("T1", 1)])
    sql = """
        SELECT type, ARRAY(SELECT one ->> 'kind' || ' ' || (one ->> 'name')
                           FROM json_array_elements(body::json #> '{data,subjects}') AS one)
        FROM journal WHERE type IN ('mes.material.loaded', 'mes.part.installed') ORDER BY id
    """
    assert await rows(stage, sql) == [
        ("mes.material.loaded", ["lot L1", "station as-1"]),
        ("mes.part.installed", ["unit T1", "station as-1"]),
    ]


def day(stage: Stage) -> Sequence[Message]:
    """Reels changed, feeders filled and emptied while four trays are built; some of it at the same second."""
    return [
        stage.load("L1", 0),
        stage.draw("T1", 1, 3),
        stage.load("L2", 2),
        stage.draw("T1", 2, 1),
        stage.draw("T2", 3),
        stage.unload("L2", 3),
        stage.load("L3", 4, place="F1"),
        stage.load("L1", 4, place="F2"),
        stage.draw("T3", 5),
        stage.message(
            "removed", "as-1", 6, parent="T3", position="SCREWS", child={"part": "SCREW-1", "lot": "L3", "quantity": 1}
        ),
        stage.unload("L1", 6),
        stage.draw("T4", 7),
        stage.message("started", "as-1", 8, unit="T1", step="build"),
        stage.message("completed", "as-1", 9, unit="T2", step="build", outcome="fail"),
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_and_any_batches_end_the_same(stage: Stage, seed: int) -> None:
    await stage.release("T1", "T2", "T3", "T4")
    said, rng = list(day(stage)), random.Random(seed)
    if seed:
        rng.shuffle(said)
    while said:
        size = rng.randint(1, 5)
        await stage.send(said[:size])
        del said[:size]
    await assert_folded_from_journal(stage.database)
    found = [(serial, lot, quantity, loaded) for serial, lot, _, quantity, _, loaded in await rows(stage, STAYS)]
    assert found == [
        ("T1", "L1", 3, ["L1"]),
        ("T1", "L2", 1, ["L2"]),
        ("T2", None, 4, None),
        ("T3", None, 4, ["L1", "L3"]),
        ("T3", None, 3, ["L1", "L3"]),
        ("T4", "L3", 4, ["L3"]),
    ]


async def asked(stage: Stage, id: str, *parts: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The reasons against building T1 at as-1 now, each with the lot that it names."""
    stage.now += timedelta(seconds=1)
    data = {"unit": "T1", "step": "build", "parts": list(parts)}
    event = {"specversion": "1.0", "id": id, "source": "stations/as-1", "type": "mes.step.asked", "time": time(0)}
    (ask,) = decode("as-1", "ask", json.dumps({**event, "data": data}).encode())
    assert isinstance(ask, Message)
    answered = await answer(stage.database, ask, (), stage.now)
    return [(one.code, one.facts.get("lot")) for one in answered.reasons]


async def test_a_station_with_a_held_lot_is_granted_nothing_that_takes_of_it(stage: Stage) -> None:
    await stage.release("T1")
    await receive(stage, "L1", "L2")
    await stage.send([stage.load("L1", 0), stage.load("P1", 0, part="GPU-2")])
    assert await asked(stage, "a1") == []
    async with stage.database.transaction() as connection:
        held = await place(connection, "lot", "L1", "porous", stage.act())
        await place(connection, "lot", "P1", "of another product", stage.act())
    assert await asked(stage, "a2") == [("on_hold", "L1"), ("on_hold", "P1")]
    await stage.send([stage.load("L2", 1), stage.unload("P1", 1, part="GPU-2")])
    assert await asked(stage, "a3") == []
    await stage.send([stage.load("L1", 2)])
    assert await asked(stage, "a4") == [("on_hold", "L1")]
    async with stage.database.transaction() as connection:
        await release(connection, held, stage.act()._replace(at=stage.now))
    stage.now += timedelta(seconds=1)
    assert await asked(stage, "a5") == []


async def test_what_the_step_does_not_take_holds_nothing_up(stage: Stage) -> None:
    await stage.release("T1")
    await stage.set_up({**SCREW, "part": "PASTE"})
    await stage.send([stage.load("P9", 0, part="PASTE")])
    async with stage.database.transaction() as connection:
        await place(connection, "lot", "P9", "dry", stage.act())
    assert await asked(stage, "a1") == []


async def test_asked_with_material_of_which_nothing_is_loaded(stage: Stage) -> None:
    await stage.release("T1")
    screws = {"part": "SCREW-1", "quantity": 4}
    assert await asked(stage, "a1", screws) == [("not_loaded", None)]
    await stage.send([stage.load("L1", 0, maker="Acme")])
    assert await asked(stage, "a2", screws) == []
    assert await asked(stage, "a3", {**screws, "maker": "Bolt"}) == [("not_loaded", None)]
    await stage.set_up({**SCREW, "tracking": "bulk"})
    await stage.send([stage.unload("L1", 1, maker="Acme")])
    assert await asked(stage, "a4", screws) == []


async def state(stage: Stage, serial: str) -> str:
    return dict(await rows(stage, "SELECT serial, state FROM unit"))[serial]


@pytest.mark.parametrize("late", [True, False])
async def test_a_unit_with_a_held_lot_was_not_packed_whenever_that_becomes_known(stage: Stage, late: bool) -> None:
    await stage.release("T1")
    await receive(stage, "L1")
    async with stage.database.transaction() as connection:
        await place(connection, "lot", "L1", "porous", stage.act())
    begun, first, second, _, ended = stage.build("T1", 10, "G1", "G2")
    built = [begun, first, second, stage.draw("T1", 30), ended, stage.run("T1", "test", 200)]
    built.append(stage.message("packed", "as-1", 300, unit="T1"))
    if late:
        await stage.send(built)
        assert await state(stage, "T1") == "packed"
        await stage.send([stage.load("L1", 0)])
    else:
        await stage.send([stage.load("L1", 0), *built])
    assert await state(stage, "T1") == "completed"
    await assert_folded_from_journal(stage.database)


async def test_loads_and_installations_at_the_same_time_end_as_if_one_came_after_the_other(stage: Stage) -> None:
    units = [f"T{number}" for number in range(12)]
    await stage.release(*units)
    said = [[stage.draw(unit, 10 + at)] for at, unit in enumerate(units)]
    said += [[stage.load(f"L{at}", 9.5 + at)] for at in range(0, 12, 3)]
    random.Random(4).shuffle(said)
    await asyncio.gather(*(settle(stage.database, batch, stage.now) for batch in said))
    assert await held(stage) == {unit: f"L{at // 3 * 3}" for at, unit in enumerate(units)}
    await assert_folded_from_journal(stage.database)
