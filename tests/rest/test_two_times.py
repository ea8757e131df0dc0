"""Genealogy and recall ask two times: when it was so, and when we believed it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.rest.floor import Floor, cable
from tests.rest.test_units import event, install

BEGAN = datetime.now(UTC) - timedelta(hours=5)


def hour(number: float) -> datetime:
    return BEGAN + timedelta(hours=number)


async def remove(floor: Floor, parent: str, position: str, child: dict[str, Any], at: datetime) -> None:
    """A part taken out at st-01."""
    data = {"parent": parent, "position": position, "child": child}
    message = event(f"out-{parent}-{at.isoformat()}", "mes.part.removed", at, data)
    answer = await floor.done("POST", "/stations/st-01/messages", message)
    assert answer["settled"][0]["fate"] == "applied"


@pytest.fixture
async def kit(floor: Floor) -> str:
    """A cable with a lot in it, that was in a kit from hour 1 to hour 2."""
    await floor.released()
    document = cable("KIT", bom=[{"position": "C1", "part": "CB-1"}], route=[{"step": "kit", "station_kind": "bench"}])
    await floor.done("PUT", "/products/KIT/revisions/A", {**document, "characteristics": []})
    await floor.done("PUT", "/work-orders/WO-2", {"part": "KIT", "revision": "A", "quantity": 1, "serials": ["KIT-1"]})
    await floor.done("POST", "/work-orders/WO-2/release")
    await install(floor, "CB-1-000001", "P1", {"part": "PLUG-1", "lot": "L-1", "quantity": 2}, hour(0))
    await install(floor, "KIT-1", "C1", {"part": "CB-1", "serial": "CB-1-000001"}, hour(1))
    return "KIT-1"


async def parts(floor: Floor, unit: str, **asked: str) -> list[str]:
    """Paths of all that is in a unit."""
    tree = await floor.done("GET", f"/units/{unit}/genealogy", params=asked)
    found, rest = [], list(tree["children"])
    while rest:
        node = rest.pop()
        found.append(node["path"])
        rest += node["children"]
    return sorted(found)


async def test_a_late_removal_changes_what_we_believe_not_what_we_believed(floor: Floor, kit: str) -> None:
    before = datetime.now(UTC).isoformat()
    assert await parts(floor, kit) == ["C1", "C1/P1"]
    await remove(floor, kit, "C1", {"part": "CB-1", "serial": "CB-1-000001"}, hour(2))
    assert await parts(floor, kit) == []
    assert await parts(floor, kit, as_of=hour(1.5).isoformat()) == ["C1", "C1/P1"]
    assert await parts(floor, kit, as_of=hour(2.5).isoformat()) == []
    assert await parts(floor, kit, known_at=before) == ["C1", "C1/P1"]
    assert await parts(floor, kit, as_of=hour(2.5).isoformat(), known_at=before) == ["C1", "C1/P1"]
    assert await parts(floor, kit, as_of=hour(2.5).isoformat(), known_at=hour(3).isoformat()) == []


async def test_a_unit_is_on_top_only_while_it_is_in_nothing(floor: Floor, kit: str) -> None:
    await remove(floor, kit, "C1", {"part": "CB-1", "serial": "CB-1-000001"}, hour(2))

    async def tops(**asked: str) -> list[tuple[str, str]]:
        page = await floor.done("GET", "/where-used", params={"lot": "L-1", **asked})
        return [(one["top_serial"], one["path"]) for one in page["items"]]

    assert await tops() == [("CB-1-000001", "P1")]
    assert await tops(as_of=hour(1.5).isoformat()) == [("KIT-1", "C1/P1")]
    assert await tops(as_of=hour(0.5).isoformat()) == [("CB-1-000001", "P1")]
    assert await tops(as_of=hour(-1).isoformat()) == []
    ever = await floor.done("GET", "/where-used?lot=L-1&ever=true")
    spans = [(one["top_serial"], one["since"], one["until"]) for one in ever["items"]]
    assert [top for top, _, _ in spans] == ["CB-1-000001", "CB-1-000001", "KIT-1"]
    assert datetime.fromisoformat(spans[0][2]) == datetime.fromisoformat(spans[2][1]) == hour(1)
    assert datetime.fromisoformat(spans[1][1]) == datetime.fromisoformat(spans[2][2]) == hour(2)
    assert spans[1][2] is None


async def test_every_page_of_a_recall_together_is_the_recall(floor: Floor, kit: str) -> None:
    await remove(floor, kit, "C1", {"part": "CB-1", "serial": "CB-1-000001"}, hour(2))
    for number in range(2, 4):
        child = {"part": "PLUG-1", "lot": "L-1", "quantity": 1}
        await install(floor, f"CB-1-00000{number}", "P1", child, hour(0) + timedelta(microseconds=number * 1000))
    whole = (await floor.done("GET", "/where-used?part=PLUG-1&ever=true"))["items"]
    assert len(whole) == 5
    paged, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        asked = {"part": "PLUG-1", "ever": "true", "limit": 1, **more}
        page = await floor.done("GET", "/where-used", params=asked)
        paged += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert paged == whole
