"""A run that a program tells of line by line, seen over REST while it goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.formats.test_ocptv import SCHEMA, end, start, value
from tests.rest.floor import Floor
from tests.rest.test_units import event


async def tell(floor: Floor, id: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Some lines of the run as the HTTP twin takes them."""
    data = {"unit": "CB-1-000001", "step": "test", "run": "d1", "lines": lines}
    message = {**event(id, "org.opencompute.ocptv", datetime.now(UTC), {}), "data": data}
    settled: dict[str, Any] = (await floor.done("POST", "/stations/st-01/messages", message))["settled"][0]
    return settled


async def test_a_run_is_seen_while_it_goes_on(floor: Floor) -> None:
    await floor.released()
    began = datetime.now(UTC) - timedelta(minutes=1)
    artifacts = [SCHEMA, start(), value("odd", "note"), value(0.9, "resistance", unit="Ohm"), end()]
    lines = [
        {"sequenceNumber": at, "timestamp": (began + timedelta(seconds=at)).isoformat()} | one
        for at, one in enumerate(artifacts)
    ]
    assert (await tell(floor, "m-1", [lines[0], lines[1], lines[3]]))["fate"] == "applied"
    (summary,) = (await floor.done("GET", "/units/CB-1-000001/runs"))["items"]
    assert (summary["run"], summary["ended_at"], summary["claim"], summary["verdict"]) == ("d1", None, None, None)
    run = await floor.done("GET", f"/runs/{summary['id']}")
    assert (run["program"], run["ended_at"], run["digest"]) == ("mlc", None, None)
    assert [(one["value"], one["high"], one["verdict"]) for one in run["measurements"]] == [(0.9, 0.2, "fail")]
    assert (run["recording"]["state"], run["recording"]["lines"], run["recording"]["gaps"]) == ("open", 3, [[2, 2]])
    await tell(floor, "m-2", lines[2:])
    ended = await floor.done("GET", f"/runs/{summary['id']}")
    assert (ended["claim"], ended["verdict"], ended["recording"]["state"]) == ("pass", "fail", "ended")
    assert [one["verdict"] for one in ended["measurements"]] == ["unset", "fail"]
    assert len((await floor.done("GET", "/units/CB-1-000001/runs"))["items"]) == 1
