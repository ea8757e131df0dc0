"""What opens the way out, and who signs for what is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.rest.floor import Floor, cable, order
from tests.rest.test_units import event, install

TWO_STEPS = {
    "route": [{"step": "crimp", "station_kind": "bench"}, {"step": "look", "station_kind": "bench", "after": ["crimp"]}]
}


@pytest.fixture
async def unit(floor: Floor) -> str:
    """A cable with a plug to be put in, of two steps that measure nothing."""
    await floor.done("PUT", "/products/CB-1/revisions/A", cable(**TWO_STEPS, characteristics=[]))
    await floor.done("PUT", "/work-orders/WO-1", order(2))
    await floor.done("POST", "/work-orders/WO-1/release")
    return "CB-1-000001"


class Clock:
    """Times of facts, a second apart and in the past."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC) - timedelta(hours=1)

    def tick(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


async def step(floor: Floor, clock: Clock, unit: str, name: str, outcome: str = "pass") -> Any:
    """A step done at st-01."""
    at = clock.tick()
    data = {"unit": unit, "step": name, "outcome": outcome}
    answer = await floor.done("POST", "/stations/st-01/messages", event(at.isoformat(), "mes.step.completed", at, data))
    assert answer["settled"][0]["fate"] == "applied", answer
    return answer


async def build(floor: Floor, clock: Clock, unit: str) -> None:
    """All that the cable needs to be completed."""
    await install(floor, unit, "P1", {"part": "PLUG-1", "serial": f"PL-{unit}"}, clock.tick())
    await step(floor, clock, unit, "crimp")
    await step(floor, clock, unit, "look")


async def codes(floor: Floor, unit: str) -> set[str]:
    problem = await floor.refused(409, "POST", f"/units/{unit}/ship")
    return {one["code"] for one in problem["reasons"]}


async def test_every_reason_against_a_shipment_is_told_at_once(floor: Floor, unit: str) -> None:
    await floor.done("POST", "/holds", {"scope": "unit", "key": unit, "reason": "scratched"})
    assert await codes(floor, unit) == {"steps_open", "as_built_incomplete", "on_hold"}


async def test_a_completed_unit_ships_once(floor: Floor, unit: str) -> None:
    await build(floor, Clock(), unit)
    assert (await floor.done("GET", f"/units/{unit}"))["state"] == "completed"
    shipped = await floor.done("POST", f"/units/{unit}/ship", {"order": "C-1", "to": "Hall 4"}, role="erp")
    assert shipped["state"] == "shipped"
    assert await codes(floor, unit) == {"unit_closed"}
    history = (await floor.done("GET", f"/units/{unit}/history"))["items"]
    assert history[-1]["type"] == "mes.unit.shipped"
    assert history[-1]["data"]["fact"]["what"]["order"] == "C-1"


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "part", "key": "PLUG-1"},
        {"scope": "unit", "key": "PL-CB-1-000001"},
        {"scope": "work_order", "key": "WO-1"},
    ],
)
async def test_a_hold_on_anything_inside_keeps_the_unit_here(floor: Floor, unit: str, body: dict[str, str]) -> None:
    await build(floor, Clock(), unit)
    hold = await floor.done("POST", "/holds", {**body, "reason": "recall"})
    assert await codes(floor, unit) == {"on_hold"}
    await floor.done("POST", f"/holds/{hold['id']}/release")
    await floor.done("POST", f"/units/{unit}/ship")


async def test_a_hold_on_another_unit_does_not(floor: Floor, unit: str) -> None:
    await build(floor, Clock(), unit)
    await floor.done("POST", "/holds", {"scope": "unit", "key": "CB-1-000002", "reason": "recall"})
    await floor.done("POST", f"/units/{unit}/ship")


async def test_a_pending_fact_keeps_the_unit_here(floor: Floor, unit: str) -> None:
    clock = Clock()
    await build(floor, clock, unit)
    at = clock.tick()
    data = {"unit": unit, "step": "look", "outcome": "fail"}
    message = event("late", "mes.step.completed", at, data, station="st-99")
    answer = await floor.done("POST", "/stations/st-99/messages", message)
    assert answer["settled"][0]["reasons"][0]["code"] == "unknown_station"
    assert (await floor.done("GET", f"/units/{unit}"))["facts_pending"] == 1
    assert await codes(floor, unit) == {"facts_pending"}


async def test_a_made_child_that_is_not_done_keeps_its_parent_here(floor: Floor, unit: str) -> None:
    clock = Clock()
    await floor.done(
        "PUT",
        "/products/KIT/revisions/A",
        cable(
            "KIT",
            bom=[{"position": "C1", "part": "CB-1"}],
            route=[{"step": "kit", "station_kind": "bench"}],
            characteristics=[],
        ),
    )
    await floor.done("PUT", "/work-orders/WO-2", {"part": "KIT", "revision": "A", "quantity": 1, "serials": ["KIT-1"]})
    await floor.done("POST", "/work-orders/WO-2/release")
    await install(floor, "KIT-1", "C1", {"part": "CB-1", "serial": unit}, clock.tick())
    await step(floor, clock, "KIT-1", "kit")
    assert "failed_part" in await codes(floor, "KIT-1")
    await build(floor, clock, unit)
    assert "failed_part" not in await codes_or_none(floor, "KIT-1")


async def codes_or_none(floor: Floor, unit: str) -> set[str]:
    answer = await floor.call("POST", f"/units/{unit}/ship")
    return {one["code"] for one in answer.json().get("reasons", ())}


@pytest.fixture
async def failed(floor: Floor, unit: str) -> str:
    """The id of the nonconformance of a unit that failed at crimp."""
    await step(floor, Clock(), unit, "crimp", "fail")
    (one,) = (await floor.done("GET", f"/nonconformances?unit={unit}&state=open"))["items"]
    assert (one["unit"], one["step"]) == (unit, "crimp")
    return str(one["id"])


async def test_diagnosis_repair_and_rework(floor: Floor, unit: str, failed: str) -> None:
    path = f"/nonconformances/{failed}"
    assert (await floor.done("POST", f"{path}/diagnose", {"diagnosis": "pin 4 bent"}))["state"] == "diagnosed"
    assert (await floor.done("POST", f"{path}/repair", {"repair": "pin 4 straightened"}))["state"] == "repaired"
    disposed = await floor.done("POST", f"{path}/disposition", {"ruling": "rework", "reason": "test again"})
    assert (disposed["state"], disposed["ruling"]) == ("disposed", "rework")
    history = [one["type"] for one in (await floor.done("GET", f"/units/{unit}/history"))["items"]]
    assert history[-3:] == [
        "mes.nonconformance.diagnosed",
        "mes.nonconformance.repaired",
        "mes.nonconformance.disposed",
    ]


async def test_scrap_ends_the_unit(floor: Floor, unit: str, failed: str) -> None:
    disposed = await floor.done("POST", f"/nonconformances/{failed}/disposition", {"ruling": "scrap"}, role="quality")
    assert (disposed["state"], disposed["ruling"]) == ("closed", "scrap")
    assert (await floor.done("GET", f"/units/{unit}"))["state"] == "scrapped"
    history = [one["type"] for one in (await floor.done("GET", f"/units/{unit}/history"))["items"]]
    assert history[-2:] == ["mes.nonconformance.disposed", "mes.unit.scrapped"]
    problem = await floor.refused(409, "POST", f"/nonconformances/{failed}/disposition", {"ruling": "rework"})
    assert problem["code"] == "not_nonconforming"


async def test_use_as_is_is_signed_by_a_second_person(floor: Floor, unit: str, failed: str) -> None:
    path = f"/nonconformances/{failed}"
    use = {"ruling": "use_as_is", "decided_by": "q.lead"}
    assert (await floor.refused(409, "POST", f"{path}/disposition", use))["code"] == "second_person_needed"
    await floor.done("POST", f"{path}/diagnose", {"diagnosis": "cosmetic", "by": "q.lead"})
    assert (await floor.refused(409, "POST", f"{path}/disposition", use))["code"] == "second_person_needed"
    disposed = await floor.done("POST", f"{path}/disposition", {**use, "decided_by": "q.chief"})
    assert (disposed["state"], disposed["ruling"]) == ("closed", "use_as_is")


async def test_names_stand_in_the_record_as_numbers(floor: Floor, unit: str, failed: str) -> None:
    await floor.done("POST", f"/nonconformances/{failed}/diagnose", {"diagnosis": "pin 4 bent", "by": "Jane-Doe"})
    async with floor.database.reading() as connection:
        bodies = (await connection.execute(text("SELECT string_agg(body, '') FROM journal"))).scalar_one()
    assert "Jane-Doe" not in bodies
    assert "admin-token" not in bodies
