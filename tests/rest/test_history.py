"""An MES that is loaded with history takes what was decided in the past as of then, and keeps when it was told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mes.commands.asking import Answer, answer
from mes.formats.messages import Message, decode
from tests.rest.floor import Floor
from tests.rest.test_units import event, install

THEN = datetime.now(UTC) - timedelta(days=7)
ROUTE = [
    {"step": "crimp", "station_kind": "bench", "installs": ["P1"]},
    {"step": "test", "station_kind": "tester", "after": ["crimp"], "needs": ["resistance"], "attempts": 1},
]


@pytest.fixture
def history(floor: Floor) -> Floor:
    """The application while it is being loaded."""
    floor.app.state.settings = floor.app.state.settings.model_copy(update={"history": True})
    return floor


def dated(at: datetime) -> dict[str, Any]:
    return {"headers": {"MES-Happened-At": at.isoformat()}}


async def crimped(floor: Floor) -> None:
    """A cable that was crimped a week ago."""
    stations = [{"name": "st-01", "kind": "bench"}, {"name": "t-1", "kind": "tester"}]
    await floor.done("PUT", "/lines/L1", {"stations": stations})
    await floor.product(route=ROUTE)
    await floor.done("PUT", "/work-orders/WO-1", {"part": "CB-1", "revision": "A", "quantity": 1, "serials": ["C-1"]})
    await floor.done("POST", "/work-orders/WO-1/release", **dated(THEN - timedelta(hours=1)))
    await install(floor, "C-1", "P1", {"part": "PLUG-1", "serial": "P-1"}, THEN - timedelta(minutes=9))
    done = {"unit": "C-1", "step": "crimp", "outcome": "pass"}
    await say(floor, event("crimped", "mes.step.completed", THEN - timedelta(minutes=8), done))


async def measured(floor: Floor, run: str, ohms: float, at: datetime) -> None:
    """A run of the cable's test, told now."""
    told: dict[str, Any] = {"unit": "C-1", "step": "test", "run": run, "outcome": "pass"}
    told |= {"started_at": (at - timedelta(seconds=5)).isoformat(), "ended_at": at.isoformat()}
    told["measurements"] = [{"name": "resistance", "value": ohms}]
    await say(floor, event(run, "mes.run.reported", at, told, station="t-1"))


async def say(floor: Floor, message: dict[str, Any]) -> None:
    station = message["source"].removeprefix("stations/")
    answered = await floor.done("POST", f"/stations/{station}/messages", message)
    assert [one["fate"] for one in answered["settled"]] == ["applied"]


async def asked(floor: Floor, id: str, at: datetime, happened_at: datetime | None) -> Answer:
    """The answer to an ask of the tester."""
    said = event(id, "mes.step.asked", at, {"unit": "C-1", "step": "test"}, station="t-1")
    (message,) = decode("t-1", "ask", json.dumps(said).encode())
    assert isinstance(message, Message), message
    return await answer(floor.database, message, [], datetime.now(UTC), happened_at)


async def test_a_ruling_of_last_week_lets_the_retest_of_last_week_count(history: Floor) -> None:
    await crimped(history)
    await measured(history, "r1", 0.5, THEN)
    (fault,) = (await history.done("GET", "/nonconformances"))["items"]
    path = f"/nonconformances/{fault['id']}"
    await history.done("POST", f"{path}/diagnose", {"diagnosis": "Loose."}, **dated(THEN + timedelta(minutes=1)))
    await history.done("POST", f"{path}/disposition", {"ruling": "rework"}, **dated(THEN + timedelta(minutes=2)))
    await history.done("POST", f"{path}/repair", {"repair": "Tightened."}, **dated(THEN + timedelta(minutes=3)))
    await measured(history, "r2", 0.1, THEN + timedelta(minutes=4))
    assert (await history.done("GET", "/units/C-1"))["state"] == "completed"
    entries = (await history.done("GET", "/units/C-1/history"))["items"]
    (diagnosed,) = [one for one in entries if one["type"] == "mes.nonconformance.diagnosed"]
    assert datetime.fromisoformat(diagnosed["data"]["happened_at"]) == THEN + timedelta(minutes=1)
    assert datetime.fromisoformat(diagnosed["time"]) > THEN + timedelta(days=6)


async def test_a_ruling_of_today_comes_after_the_retest_of_last_week(history: Floor) -> None:
    await crimped(history)
    await measured(history, "r1", 0.5, THEN)
    (fault,) = (await history.done("GET", "/nonconformances"))["items"]
    await history.done("POST", f"/nonconformances/{fault['id']}/disposition", {"ruling": "rework"})
    await measured(history, "r2", 0.1, THEN + timedelta(minutes=4))
    assert (await history.done("GET", "/units/C-1"))["state"] != "completed"


async def test_an_ask_of_last_week_grants_a_start_of_last_week(history: Floor) -> None:
    await crimped(history)
    assert (await asked(history, "a1", THEN, THEN)).granted
    await measured(history, "r1", 0.1, THEN + timedelta(minutes=1))
    entries = (await history.done("GET", "/units/C-1/history"))["items"]
    (judged,) = [one for one in entries if one["type"] == "mes.run.judged"]
    assert "deviations" not in judged["data"]
    (granted,) = [one for one in entries if one["type"] == "mes.step.answered"]
    assert datetime.fromisoformat(granted["data"]["fact"]["at"]) == THEN
    assert datetime.fromisoformat(granted["time"]) > THEN + timedelta(days=6)


async def test_only_an_mes_that_is_loaded_takes_history(floor: Floor) -> None:
    await floor.product()
    await floor.done("PUT", "/work-orders/WO-1", {"part": "CB-1", "revision": "A", "quantity": 1})
    problem = await floor.refused(409, "POST", "/work-orders/WO-1/release", **dated(THEN))
    assert problem["code"] == "history_closed"


@pytest.mark.parametrize("given", ["last week", "2026-11-02T08:00:00", "2999-01-01T00:00:00Z"])
async def test_history_is_a_time_with_a_zone_and_never_ahead(history: Floor, given: str) -> None:
    await history.product()
    await history.done("PUT", "/work-orders/WO-1", {"part": "CB-1", "revision": "A", "quantity": 1})
    problem = await history.refused(422, "POST", "/work-orders/WO-1/release", headers={"MES-Happened-At": given})
    assert problem["code"] == "invalid"
