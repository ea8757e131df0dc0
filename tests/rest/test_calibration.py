"""A station's calibration: noted over REST, and a reason against every step once it has run out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rest.floor import Floor
from tests.rest.test_units import event


async def asked(floor: Floor, id: str) -> Any:
    ask = event(id, "mes.step.asked", datetime.now(UTC), {"unit": "CB-1-000001", "step": "crimp"})
    ask["data"].pop("at")
    return (await floor.done("POST", "/stations/st-01/messages", ask))["answers"][0]


async def test_a_station_out_of_calibration_is_granted_nothing(floor: Floor) -> None:
    await floor.released()
    now = datetime.now(UTC)
    body = {"calibrated_until": (now + timedelta(days=365)).isoformat(), "certificate": "DKD-4711"}
    station = await floor.done("PUT", "/stations/st-01/calibration", body, role="quality")
    assert station["calibration"] == "DKD-4711"
    assert (await asked(floor, "a-1"))["granted"]
    await floor.done("PUT", "/stations/st-01/calibration", {"calibrated_until": (now - timedelta(days=1)).isoformat()})
    answer = await asked(floor, "a-2")
    assert (answer["granted"], [one["code"] for one in answer["reasons"]]) == (False, ["expired_calibration"])
    await floor.done("PUT", "/stations/st-01/calibration", {"calibrated_until": None})
    assert (await asked(floor, "a-3"))["granted"]
    await floor.refused(404, "PUT", "/stations/nobody/calibration", {"calibrated_until": None})
