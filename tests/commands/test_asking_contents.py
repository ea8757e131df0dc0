"""What is built into a unit speaks at its asks: parts that failed, were never tested or are on hold."""

from copy import deepcopy
from typing import Any

import pytest

from mes.commands import holds
from mes.commands.act import Act
from mes.commands.asking import Answer
from tests.commands.test_asking import ask, asked, codes, hold
from tests.stage import GPU, TRAY, Stage
from tests.stored_floor import assert_folded_from_journal

BOARD: dict[str, Any] = {
    **GPU,
    "part": "PCB-1",
    "source": "made",
    "bom": [{"position": "CHIP", "part": "GPU-1"}],
    "route": [{"step": "ict", "station_kind": "functional"}],
}


def rack() -> dict[str, Any]:
    """A unit with a board that a step puts in, one that is put in beside the steps, and one without a retest."""
    document = deepcopy(TRAY) | {"part": "RACK-1"}
    document["bom"] = [
        {"position": "U1", "part": "PCB-1", "retest_from": "test"},
        {"position": "U2", "part": "PCB-1", "retest_from": "audit"},
        {"position": "U3", "part": "PCB-1"},
    ]
    (build, test) = document["route"]
    prepare = {"step": "prepare", "station_kind": "assembly"}
    audit = {"step": "audit", "station_kind": "functional", "after": ["test"]}
    document["route"] = [prepare, {**build, "after": ["prepare"], "installs": ["U1"]}, test, audit]
    return document


@pytest.fixture
async def floor(stage: Stage) -> Stage:
    """With a board that has passed, and a rack that has it in U1 and was not tested yet."""
    await stage.set_up(GPU, BOARD, rack())
    await stage.release("R1", number="WO-R", part="RACK-1")
    await stage.release("B1", "B2", "B3", number="WO-B", part="PCB-1")
    await stage.send([install(stage, "B1", "CHIP", "C1", 1, "GPU-1"), ict(stage, "B1", 5)])
    prepared = stage.message("completed", "as-1", 10, unit="R1", step="prepare", outcome="pass")
    built = stage.message("completed", "as-1", 20, unit="R1", step="build", outcome="pass")
    await stage.send([prepared, install(stage, "R1", "U1", "B1", 15), built])
    return stage


def install(stage: Stage, parent: str, position: str, serial: str, at: float, part: str = "PCB-1") -> Any:
    return stage.install(parent, position, serial, at, part)


def ict(stage: Stage, board: str, at: float, outcome: str = "pass") -> Any:
    return stage.message("completed", "ft-1", at, unit=board, step="ict", outcome=outcome)


async def rack_asked(stage: Stage, id: str, step: str = "test", station: str = "ft-1") -> Answer:
    return await asked(stage, ask(id, "R1", step, station))


def texts(told: Answer) -> list[str]:
    return [one.text for one in told.reasons]


async def test_a_part_that_fails_after_it_was_built_in_holds_up_what_relies_on_it(floor: Stage) -> None:
    assert (await rack_asked(floor, "a1")).granted
    await floor.send([ict(floor, "B1", 30, "fail")])
    told = await rack_asked(floor, "a2")
    assert codes(told) == ["failed_part"]
    assert texts(told) == ["B1 (PCB-1) in U1 has not passed its own route: it is nonconforming."]
    assert told.reasons[0].facts["parts"] == [
        {"part": "PCB-1", "serial": "B1", "position": "U1", "state": "nonconforming"}
    ]
    assert codes(await rack_asked(floor, "a3", "build", "as-1")) == ["already_passed"]
    assert (await asked(floor, ask("a4", "B1", "ict", "ft-1"))).granted  # there it is put right
    await floor.send([ict(floor, "B1", 40)])
    assert (await rack_asked(floor, "a5")).granted
    await assert_folded_from_journal(floor.database)


async def test_a_part_that_is_replaced_holds_up_nothing(floor: Stage) -> None:
    await floor.send([ict(floor, "B1", 30, "fail")])
    await floor.send([install(floor, "B2", "CHIP", "C2", 31, "GPU-1"), ict(floor, "B2", 32)])
    await floor.send([floor.remove("R1", "U1", "B1", 33, "PCB-1"), install(floor, "R1", "U1", "B2", 34)])
    assert (await rack_asked(floor, "a1")).granted


async def test_a_part_that_was_never_tested_does_not_pass_for_a_good_one(floor: Stage) -> None:
    await floor.send([install(floor, "R1", "U1", "B2", 30)])
    told = await rack_asked(floor, "a1")
    assert texts(told) == ["B2 (PCB-1) in U1 has not passed its own route: it is created."]


async def test_what_no_step_installs_is_relied_on_from_its_retest_on_or_else_by_all(floor: Stage) -> None:
    await floor.send([install(floor, "R1", "U2", "B2", 30)])
    assert (await rack_asked(floor, "a1")).granted
    assert codes(await rack_asked(floor, "a2", "audit")) == ["predecessor_open", "failed_part"]
    await floor.send([install(floor, "R1", "U3", "B3", 31)])
    assert codes(await rack_asked(floor, "a3")) == ["failed_part"]
    assert codes(await rack_asked(floor, "a4", "prepare", "as-1")) == ["already_passed", "failed_part"]


@pytest.mark.parametrize(
    ("scope", "key", "said"),
    [
        ("unit", "B1", "B1 (PCB-1) in U1 is on hold: unit B1 (suspect solder)."),
        ("part", "PCB-1", "B1 (PCB-1) in U1 is on hold: part PCB-1 (suspect solder)."),
        ("work_order", "WO-B", "B1 (PCB-1) in U1 is on hold: work order WO-B (suspect solder)."),
        ("unit", "C1", "C1 (GPU-1) in U1/CHIP is on hold: unit C1 (suspect solder)."),
        ("part", "GPU-1", "C1 (GPU-1) in U1/CHIP is on hold: part GPU-1 (suspect solder)."),
    ],
)
async def test_a_hold_on_anything_inside_holds_up_what_relies_on_it(
    floor: Stage, scope: str, key: str, said: str
) -> None:
    async with floor.database.transaction() as connection:
        act = Act("main", "q.eng", floor.now)
        held = await holds.place(connection, scope, key, "suspect solder", act)
    told = await rack_asked(floor, "a1")
    assert (codes(told), texts(told)) == (["on_hold"], [said])
    assert [one["scope"] for one in told.reasons[0].facts["holds"]] == [scope]
    assert codes(await rack_asked(floor, "a2", "build", "as-1")) == ["already_passed"]
    async with floor.database.transaction() as connection:
        await holds.release(connection, held, Act("main", "q.eng", floor.now))
    assert (await rack_asked(floor, "a3")).granted


async def test_a_lot_deep_inside_may_be_on_hold(floor: Stage) -> None:
    child = {"part": "SCREW-1", "lot": "LOT-1", "quantity": 4}
    await floor.set_up(TRAY)
    await floor.send([floor.message("installed", "as-1", 30, parent="B1", position="SCREWS", child=child)])
    await hold(floor, "lot", "LOT-1")
    told = await rack_asked(floor, "a1")
    assert texts(told) == ["SCREW-1 in U1/SCREWS is on hold: lot LOT-1 (lot)."]


async def test_what_is_wrong_inside_a_proposed_part_is_told_before_it_goes_in(floor: Stage) -> None:
    await hold(floor, "unit", "C1")
    parts = [{"part": "PCB-1", "serial": "B1"}]
    told = await asked(floor, ask("a1", "R1", "build", parts=parts))
    assert codes(told) == ["already_passed", "on_hold"]
    assert texts(told)[1] == "PCB-1 B1: C1 (GPU-1) in CHIP is on hold: unit C1 (unit)."


async def test_a_unit_in_a_circle_of_installations_is_answered(floor: Stage) -> None:
    await floor.send([install(floor, "B1", "CHIP", "R1", 40, "RACK-1")])
    assert codes(await rack_asked(floor, "a1")) == []


async def test_a_hold_says_what_is_on_hold_and_why(floor: Stage) -> None:
    async with floor.database.transaction() as connection:
        await holds.place(connection, "unit", "R1", "suspect solder", Act("main", "q.eng", floor.now))
        await holds.place(connection, "station", "ft-1", "door broken.", Act("main", "q.eng", floor.now))
    told = await rack_asked(floor, "a1")
    assert texts(told) == ["On hold: unit R1 (suspect solder); station ft-1 (door broken)."]
    assert [one["key"] for one in told.reasons[0].facts["holds"]] == ["R1", "ft-1"]


async def test_many_parts_are_named_up_to_a_number(floor: Stage) -> None:
    serials = [f"X{number}" for number in range(12)]
    await floor.release(*serials, number="WO-X", part="PCB-1")
    await floor.send([install(floor, "R1", f"Z{one}", one, 30) for one in serials])
    (told,) = (await rack_asked(floor, "a1")).reasons
    assert told.text.endswith("And 2 more.")
    assert len(told.facts["parts"]) == 12
