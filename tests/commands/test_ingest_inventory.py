"""Inventories are kept beside what was built in: they tell what differs, and hold up the steps behind their own."""

from copy import deepcopy
from typing import Any

from mes.commands.asking import answer
from mes.db.session import driver
from mes.domain.refusals import Reason
from mes.formats.messages import Message
from tests.commands.test_ingest_foreign import foreign
from tests.stage import TRAY, Stage, time
from tests.stored_floor import assert_folded_from_journal, picture

BUILT_G1 = {"position": "GPU1", "part": "GPU-1", "serial": "G1", "kind": "gpu", "firmware": "97"}
BUILT_G2 = {"position": "GPU2", "part": "GPU-1", "serial": "G2", "kind": "gpu", "firmware": "97"}


def tray() -> dict[str, Any]:
    """The stage's tray with an inventory before its test, and a baseline."""
    document = deepcopy(TRAY) | {"part": "TRAY-2"}
    test = document["route"].pop()
    check = {"step": "check", "station_kind": "functional", "after": ["build"]}
    document["route"] += [check, {**test, "after": ["check"]}]
    document["firmware"] = [{"kind": "gpu", "name": "VBIOS", "versions": ["97", "98"]}]
    return document


def read(id: str, at: float, **data: Any) -> Message:
    return foreign("inventory", "mes.inventory.read", {"unit": "T1", "at": time(at), **data}, id, at)


async def set_up(stage: Stage) -> None:
    await stage.set_up(tray())
    await stage.release("T1", part="TRAY-2")
    began = stage.message("started", "ft-1", 100, unit="T1", step="check")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), began])


async def told(stage: Stage, *messages: Message) -> list[set[str]]:
    settled = await stage.send(messages)
    assert {one.fate for one in settled} == {"applied"}
    return [{why.code for why in one.reasons} for one in settled]


async def asked(stage: Stage, step: str, id: str) -> tuple[Reason, ...]:
    ask = foreign("ask", "mes.step.asked", {"unit": "T1", "step": step}, id, 300)
    return (await answer(stage.database, ask, (), stage.now, stage.now)).reasons


async def test_an_inventory_that_matches_says_nothing(stage: Stage) -> None:
    await set_up(stage)
    assert await told(stage, read("i1", 110, items=[BUILT_G1, BUILT_G2])) == [set()]
    await assert_folded_from_journal(stage.database)
    async with stage.database.reading() as connection:
        assert await (await driver(connection)).fetchval(
            "SELECT count(*) FROM journal WHERE type = 'mes.inventory.read'"
        )


async def test_what_differs_holds_up_the_steps_behind(stage: Stage) -> None:
    await set_up(stage)
    swapped = [{**BUILT_G1, "serial": "G2"}, {**BUILT_G2, "serial": "G1", "firmware": {"VBIOS": "96"}}]
    assert await told(stage, read("i1", 110, items=swapped)) == [{"unit_mismatch", "firmware_mismatch"}]
    await stage.send([stage.message("completed", "ft-1", 120, unit="T1", step="check", outcome="pass")])
    assert {one.code for one in await asked(stage, "test", "a1")} == {"unit_mismatch", "firmware_mismatch"}
    assert {one.code for one in await asked(stage, "check", "a2")} == {"already_passed"}
    put_right = read("i2", 130, items=[BUILT_G1, BUILT_G2])
    again = stage.message("started", "ft-1", 125, unit="T1", step="check")
    assert await told(stage, again, put_right) == [{"not_asked", "already_passed"}, set()]
    assert await asked(stage, "test", "a3") == ()


async def test_a_part_that_reports_nothing_is_missing_and_stays_installed(stage: Stage) -> None:
    await set_up(stage)
    before = await picture(stage.database)
    assert await told(stage, read("i1", 110, items=[BUILT_G1])) == [{"as_built_incomplete"}]
    assert (await picture(stage.database))["stays"] == before["stays"]


async def test_redfish_is_read_as_it_comes(stage: Stage) -> None:
    await set_up(stage)
    gpu = {"@odata.type": "#Processor.v1_20_0.Processor", "PartNumber": "NA", "ProcessorType": "GPU"}
    resources = {f"/redfish/v1/GPU_{at}": {**gpu, "SerialNumber": f"G{at}", "FirmwareVersion": "98"} for at in (1, 2)}
    assert await told(stage, read("i1", 110, redfish=resources)) == [set()]
    del resources["/redfish/v1/GPU_2"]
    assert await told(stage, read("i2", 111, redfish=resources)) == [{"as_built_incomplete"}]


BAD = [{**BUILT_G1, "serial": "G2"}, {**BUILT_G2, "serial": "G1"}]
GOOD = [BUILT_G1, BUILT_G2]


async def refused(stage: Stage, step: str, id: str) -> set[str]:
    return {one.code for one in await asked(stage, step, id)} - {"wrong_station_kind"}


async def test_a_second_bad_inventory_lifts_nothing(stage: Stage) -> None:
    await set_up(stage)
    passed = stage.message("completed", "ft-1", 120, unit="T1", step="check", outcome="pass")
    await stage.send([read("i1", 110, items=BAD), passed])
    assert await refused(stage, "test", "a1") == {"unit_mismatch"}
    await stage.send([read("i2", 130, items=BAD)])  # outside any attempt
    assert await refused(stage, "test", "a2") == {"unit_mismatch"}
    unasked = stage.message("started", "ft-1", 140, unit="T1", step="test")
    await stage.send([unasked, read("i3", 145, items=BAD)])  # in the very step that was held up
    assert await refused(stage, "test", "a3") == {"unit_mismatch"}
    await stage.send([read("i4", 150, items=GOOD)])
    assert await refused(stage, "test", "a4") == set()
    await stage.send([read("i5", 155, items=BAD)])
    assert await refused(stage, "test", "a5") == set()  # the clean one lies between; now it is the test's to put right


async def test_an_inventory_outside_an_attempt_belongs_to_the_step_begun_last(stage: Stage) -> None:
    await stage.set_up(tray())
    await stage.release("T1", part="TRAY-2")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), read("i1", 110, items=BAD)])
    assert await refused(stage, "check", "a1") == {"unit_mismatch"}
    assert await refused(stage, "build", "a2") == {"already_passed"}


async def test_an_inventory_of_a_unit_that_nothing_was_done_to_holds_up_all(stage: Stage) -> None:
    await stage.set_up(tray())
    await stage.release("T1", part="TRAY-2")
    installed = [stage.install("T1", "GPU1", "G1", 1), stage.install("T1", "GPU2", "G2", 2)]
    await stage.send([*installed, read("i1", 110, items=BAD)])
    assert await refused(stage, "build", "a1") == {"unit_mismatch"}
    await stage.send([read("i2", 111, items=GOOD)])
    assert await refused(stage, "build", "a2") == set()
