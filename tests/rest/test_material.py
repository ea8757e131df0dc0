"""What is loaded at stations, over the twin of a station's topic and back."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rest.floor import Floor
from tests.rest.test_units import event

BEGAN = datetime.now(UTC) - timedelta(hours=5)


async def say(floor: Floor, id: str, type_: str, hour: float, **data: Any) -> str:
    """Say a fact at st-01, so many hours after the beginning; its fate."""
    at = BEGAN + timedelta(hours=hour)
    answer = await floor.done("POST", "/stations/st-01/messages", event(id, type_, at, {**data, "at": at.isoformat()}))
    return str(answer["settled"][0]["fate"])


async def test_a_loaded_lot_is_found_at_its_station_and_in_its_units(floor: Floor) -> None:
    await floor.released()
    reel = {"part": "PLUG-1", "lot": "L-1"}
    assert await say(floor, "m1", "mes.material.loaded", 0, **reel, quantity=100, place="F1") == "applied"
    child = {"part": "PLUG-1", "quantity": 1}
    assert (
        await say(floor, "m2", "mes.part.installed", 1, parent="CB-1-000001", position="P1", child=child) == "applied"
    )
    assert await say(floor, "m3", "mes.material.unloaded", 2, **reel, quantity=99) == "applied"

    assert (await floor.done("GET", "/material"))["items"] == []
    then = (BEGAN + timedelta(hours=1)).isoformat()
    (found,) = (await floor.done("GET", "/material", params={"as_of": then}))["items"]
    told = {name: found[name] for name in ("station", "place", "lot", "quantity", "left", "used", "overdrawn")}
    assert told == {
        "station": "st-01",
        "place": "F1",
        "lot": "L-1",
        "quantity": 100,
        "left": 99,
        "used": 1,
        "overdrawn": False,
    }
    assert found["loaded_by"] == {"source": "stations/st-01", "id": "m1"}
    assert (await floor.done("GET", "/material?ever=true&lot=L-1&station=st-01"))["items"] == [found]

    (use,) = (await floor.done("GET", "/where-used?lot=L-1"))["items"]
    assert (use["top_serial"], use["lot_by"]) == ("CB-1-000001", "station")
    table = await floor.call("GET", "/where-used?lot=L-1", headers={"Accept": "text/csv"})
    assert ",L-1,station," in table.text


async def test_a_station_that_is_not_registered_has_no_material(floor: Floor) -> None:
    problem = await floor.refused(404, "GET", "/material?station=nobody")
    assert problem["code"] == "unknown_station"
