"""What a unit reports of itself, over REST: slot by slot beside the record of when it was read."""

from typing import Any

from tests.rest.floor import Floor

UNIT = "/units/CB-1-000001/inventory"


def read(id: str, at: str, **said: Any) -> dict[str, Any]:
    """An inventory of the first unit, as a station sends it."""
    event = {"specversion": "1.0", "id": id, "source": "stations/st-01", "type": "mes.inventory.read", "time": at}
    return {**event, "data": {"unit": "CB-1-000001", "at": at, "run": "r1", **said}}


async def test_the_newest_reading_is_shown_beside_the_record(floor: Floor) -> None:
    await floor.released()
    nothing = await floor.done("GET", UNIT)
    assert (nothing["at"], nothing["slots"]) == (None, [])
    plug = {"position": "J1", "part": "PLUG-1", "serial": "NA", "kind": "plug", "firmware": "1.2"}
    bmc = {"position": "BMC", "firmware": "26.1", "kind": "SoftwareInventory"}
    first = read("i1", "2026-11-22T10:00:00Z", items=[plug, bmc])
    second = read("i2", "2026-11-22T11:00:00Z", items=[plug | {"serial": "P-7"}])
    told = await floor.done("POST", "/stations/st-01/messages", [first, second])
    assert {one["fate"] for one in told["settled"]} == {"applied"}
    newest = await floor.done("GET", UNIT)
    assert (newest["at"], newest["station"], newest["run"]) == ("2026-11-22T11:00:00Z", "st-01", "r1")
    (slot,) = newest["slots"]
    assert (slot["position"], slot["verdict"], slot["part"], slot["found_serial"]) == ("J1", "unexpected", None, "P-7")
    before = await floor.done("GET", UNIT, params={"as_of": "2026-11-22T10:30:00Z"})
    assert [(one["position"], one["verdict"], one["firmware"]) for one in before["slots"]] == [
        ("J1", "unexpected", {"": "1.2"})
    ]
    assert before["software"] == [{"name": "BMC", "version": "26.1"}]
    assert (await floor.refused(404, "GET", "/units/NOBODY/inventory"))["code"] == "unknown_unit"
