"""Units over REST: found, identified, received, told of by stations."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from mes.db import sequencer
from tests.rest.floor import Floor


def event(id: str, type: str, at: datetime, data: dict[str, Any], station: str = "st-01") -> dict[str, Any]:
    """A station's message."""
    moment = at.isoformat()
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"stations/{station}",
        "type": type,
        "time": moment,
        "data": data if type == "mes.unit.identified" else {"at": moment, **data},
    }


async def install(floor: Floor, parent: str, position: str, child: dict[str, Any], at: datetime) -> Any:
    """A scan at st-01."""
    data = {"parent": parent, "position": position, "child": child}
    name = f"{parent}-{position}-{at.isoformat()}"
    answer = await floor.done("POST", "/stations/st-01/messages", event(name, "mes.part.installed", at, data))
    return answer["settled"][0]


async def test_a_bought_part_is_received_once(floor: Floor) -> None:
    await floor.product()
    body = {"part": "PLUG-1", "serial": "PL-7", "maker": "Volta", "id": "r-1"}
    first = await floor.call("POST", "/goods-receipts", body)
    again = await floor.call("POST", "/goods-receipts", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["fate"], again.json()["fate"]) == ("applied", "duplicate")
    unit = await floor.done("GET", "/units/PL-7")
    assert (unit["state"], unit["part"], unit["maker"]) == ("received", "PLUG-1", "Volta")
    assert unit["received_at"] is not None


async def test_the_idempotency_key_stands_in_for_an_id(floor: Floor) -> None:
    await floor.product()
    body = {"part": "PLUG-1", "lot": "L-1", "quantity": 10}
    for status in (201, 200):
        answer = await floor.call("POST", "/goods-receipts", body, headers={"Idempotency-Key": "k-1"})
        assert answer.status_code == status, answer.text
    async with floor.database.reading() as connection:
        assert (await connection.execute(text("SELECT quantity_received FROM lot"))).scalar_one() == 10


async def test_an_unknown_part_is_refused_and_not_kept_waiting(floor: Floor) -> None:
    problem = await floor.refused(404, "POST", "/goods-receipts", {"part": "NO-SUCH", "serial": "S1"})
    assert problem["code"] == "unknown_part"
    assert (await floor.done("GET", "/messages"))["items"] == []


async def test_another_receipt_under_the_same_id_is_a_conflict(floor: Floor) -> None:
    await floor.product()
    await floor.done("POST", "/goods-receipts", {"part": "PLUG-1", "serial": "PL-7", "id": "r-1"})
    problem = await floor.refused(409, "POST", "/goods-receipts", {"part": "PLUG-1", "serial": "PL-8", "id": "r-1"})
    assert problem["code"] == "conflicting_report"


async def test_a_new_serial_takes_the_place_of_the_old_one(floor: Floor) -> None:
    await floor.released()
    told = [{"kind": "serial", "value": "NEW-1"}, {"kind": "mac", "value": "02:00:5e:10:00:01"}]
    unit = await floor.done("POST", "/units/CB-1-000001/identify", {"identifiers": told})
    assert unit["serial"] == "NEW-1"
    assert {(one["kind"], one["value"]) for one in unit["identifiers"]} == {
        ("serial", "CB-1-000001"),
        ("serial", "NEW-1"),
        ("mac", "02:00:5e:10:00:01"),
    }
    assert (await floor.done("GET", "/units/CB-1-000001"))["id"] == unit["id"]
    problem = await floor.refused(
        409, "POST", "/units/CB-1-000002/identify", {"identifiers": [{"kind": "serial", "value": "NEW-1"}]}
    )
    assert problem["code"] == "serial_taken"


async def test_an_ambiguous_serial_names_the_candidates(floor: Floor) -> None:
    await floor.released("WO-1", 1, serials=["SAME-1"])
    await floor.done("POST", "/goods-receipts", {"part": "PLUG-1", "serial": "SAME-1"})
    problem = await floor.refused(409, "GET", "/units/SAME-1")
    assert problem["code"] == "ambiguous_serial"
    candidates = problem["reasons"][0]["facts"]["candidates"]
    assert [one["part"] for one in candidates] == ["CB-1", "PLUG-1"]
    assert (await floor.done("GET", "/units/SAME-1?part=PLUG-1"))["part"] == "PLUG-1"


async def test_units_are_found_by_what_is_known_of_them(floor: Floor) -> None:
    await floor.released()
    await floor.done("POST", "/goods-receipts", {"part": "PLUG-1", "serial": "PL-7"})

    async def found(query: str) -> list[str]:
        return [one["serial"] for one in (await floor.done("GET", f"/units?{query}"))["items"]]

    made = ["CB-1-000001", "CB-1-000002", "CB-1-000003"]
    assert await found("order=WO-1") == made
    assert await found("serial=CB-1-00000") == made
    assert await found("state=received") == ["PL-7"]
    assert await found("part=CB-1&limit=2") == made[:2]
    assert await found("serial=CB-2") == []


@pytest.mark.parametrize("value", ["N/A", "two words", "sérial", "x" * 65])
async def test_what_is_no_serial_identifies_nothing(floor: Floor, value: str) -> None:
    await floor.released()
    told = {"identifiers": [{"kind": "serial", "value": value}]}
    problem = await floor.refused(422, "POST", "/units/CB-1-000001/identify", told)
    assert problem["errors"][0]["field"] == "identifiers[0].value"
    message = event("m-1", "mes.unit.identified", datetime.now(UTC), {"unit": "CB-1-000001", **told})
    answer = await floor.done("POST", "/stations/st-01/messages", message)
    assert answer["settled"][0]["fate"] == "rejected"


async def test_the_twin_takes_what_mqtt_takes(floor: Floor) -> None:
    await floor.released()
    at = datetime.now(UTC)
    step = {"unit": "CB-1-000001", "step": "crimp", "outcome": "pass"}
    batch = [event("m-1", "mes.step.completed", at, step), event("m-2", "mes.nothing", at, {}), "no message"]
    answer = await floor.done("POST", "/stations/st-01/messages", batch, role="station")
    assert [one["fate"] for one in answer["settled"]] == ["applied", "rejected", "rejected"]
    assert [one["id"] for one in answer["settled"]][:2] == ["m-1", "m-2"]
    again = await floor.done("POST", "/stations/st-01/messages", batch[0], role="station")
    assert again["settled"][0]["fate"] == "duplicate"
    kept = (await floor.done("GET", "/messages?fate=rejected"))["items"]
    assert len(kept) == 2


async def test_a_check_says_what_would_happen_and_changes_nothing(floor: Floor) -> None:
    await floor.released()
    data = {"unit": "CB-1-000001", "step": "crimp", "outcome": "pass"}
    message = event("m-1", "mes.step.completed", datetime.now(UTC), data)
    answer = await floor.done("POST", "/stations/st-01/messages?check=true", message)
    assert answer["settled"][0]["fate"] == "applied"
    assert (await floor.done("GET", "/units/CB-1-000001"))["state"] == "created"


async def test_what_waits_is_seen_retried_and_dismissed(floor: Floor) -> None:
    await floor.released()
    data = {"unit": "NOBODY-1", "step": "crimp", "outcome": "pass"}
    message = event("m-1", "mes.step.completed", datetime.now(UTC), data)
    answer = await floor.done("POST", "/stations/st-01/messages", message)
    assert answer["settled"][0]["fate"] == "pending"
    (kept,) = (await floor.done("GET", "/messages?fate=pending"))["items"]
    assert kept["reasons"][0]["code"] == "unknown_unit"
    assert json.loads(kept["body"]) == message
    assert (await floor.done("POST", f"/messages/{kept['key']}/retry"))["fate"] == "pending"
    await floor.released("WO-2", 1, serials=["NOBODY-1"])
    assert (await floor.done("POST", f"/messages/{kept['key']}/retry"))["fate"] == "applied"
    assert (await floor.refused(409, "POST", f"/messages/{kept['key']}/dismiss"))["code"] == "move_not_allowed"


async def test_a_dismissed_message_stays_so_and_on_record(floor: Floor) -> None:
    await floor.released()
    data = {"unit": "NOBODY-1", "step": "crimp", "outcome": "pass"}
    message = event("m-1", "mes.step.completed", datetime.now(UTC), data)
    await floor.done("POST", "/stations/st-01/messages", message)
    (kept,) = (await floor.done("GET", "/messages?fate=pending"))["items"]
    dismissed = await floor.done("POST", f"/messages/{kept['key']}/dismiss", {"reason": "typing error", "by": "j.doe"})
    assert (dismissed["fate"], dismissed["settled_by"]) == ("dismissed", "j.doe")
    again = await floor.done("POST", "/stations/st-01/messages", message)
    assert again["settled"][0]["fate"] == "dismissed"
    await sequencer.number(floor.database)
    types = [one["type"] for one in (await floor.done("GET", "/journal"))["items"]]
    assert types[-2:] == ["mes.message.pending", "mes.message.dismissed"]


async def test_genealogy_and_where_used_know_both_times(floor: Floor) -> None:
    await floor.released()
    began = datetime.now(UTC) - timedelta(hours=2)
    await floor.done("POST", "/goods-receipts", {"part": "PLUG-1", "serial": "PL-7", "at": began.isoformat()})
    settled = await install(
        floor, "CB-1-000001", "P1", {"part": "PLUG-1", "serial": "PL-7"}, began + timedelta(hours=1)
    )
    assert settled["fate"] == "applied"
    tree = await floor.done("GET", "/units/CB-1-000001/genealogy")
    (child,) = tree["children"]
    assert (child["position"], child["serial"], child["path"]) == ("P1", "PL-7", "P1")
    assert child["installed_by"]["source"] == "stations/st-01"
    earlier = await floor.done("GET", "/units/CB-1-000001/genealogy", params={"as_of": began.isoformat()})
    assert earlier["children"] == []
    unknown = await floor.done(
        "GET", "/units/CB-1-000001/genealogy", params={"known_at": (began + timedelta(hours=1.5)).isoformat()}
    )
    assert unknown["children"] == []
    for path in ("/units/PL-7/where-used", "/where-used?serial=PL-7", "/where-used?part=PLUG-1&ever=true"):
        (use,) = (await floor.done("GET", path))["items"]
        assert (use["top_serial"], use["path"], use["serial"]) == ("CB-1-000001", "P1", "PL-7")
    assert (await floor.done("GET", "/units/CB-1-000001"))["installed_in"] is None
    assert (await floor.done("GET", "/units/PL-7"))["installed_in"]["serial"] == "CB-1-000001"


async def test_the_recall_of_a_lot_as_a_table(floor: Floor) -> None:
    await floor.released()
    at = datetime.now(UTC) - timedelta(hours=1)
    for serial in ("CB-1-000001", "CB-1-000002"):
        await install(floor, serial, "P1", {"part": "PLUG-1", "lot": "L-1", "quantity": 2}, at)
    answer = await floor.call("GET", "/where-used?lot=L-1", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    head, *rows = answer.text.splitlines()
    assert head.startswith("top_part,top_serial,")
    assert [row.split(",")[1] for row in rows] == ["CB-1-000001", "CB-1-000002"]
    page = await floor.done("GET", "/where-used?lot=L-1&limit=1")
    rest = await floor.done("GET", "/where-used", params={"lot": "L-1", "limit": 1, "cursor": page["next_cursor"]})
    assert [one["top_serial"] for one in (*page["items"], *rest["items"])] == ["CB-1-000001", "CB-1-000002"]
    assert (await floor.refused(404, "GET", "/where-used?lot=L-9"))["code"] == "unknown_unit"


async def test_the_journal_gives_stored_bytes_with_a_position(floor: Floor) -> None:
    await floor.released()
    await sequencer.number(floor.database)
    answer: httpx.Response = await floor.call("GET", "/journal?limit=2")
    page = answer.json()
    assert [one["position"] for one in page["items"]] == [0, 1]
    rest = await floor.done("GET", f"/journal?after={page['next_after']}")
    assert [one["position"] for one in rest["items"]] == list(range(2, 2 + len(rest["items"])))
    async with floor.database.reading() as connection:
        stored = "SELECT body FROM journal JOIN journal_position ON entry_id = id ORDER BY position LIMIT 2"
        bodies = (await connection.execute(text(stored))).scalars()
        expected = ",".join(f'{body[:-1]},"position":{position}}}' for position, body in enumerate(bodies))
    assert answer.text == f'{{"items":[{expected}],"next_after":1}}'
    end = await floor.done("GET", "/journal?after=100000")
    assert end == {"items": [], "next_after": 100000}


async def test_a_run_shows_claim_verdict_and_limits(floor: Floor) -> None:
    await floor.released()
    at = datetime.now(UTC)
    data = {
        "unit": "CB-1-000001",
        "step": "test",
        "run": "r-1",
        "started_at": (at - timedelta(seconds=5)).isoformat(),
        "ended_at": at.isoformat(),
        "outcome": "pass",
        "measurements": [{"name": "resistance", "value": 0.9, "unit": "Ohm"}, {"name": "note", "value": "odd"}],
    }
    message = {**event("m-1", "mes.run.reported", at, {}), "data": data}
    await floor.done("POST", "/stations/st-01/messages", message)
    (summary,) = (await floor.done("GET", "/units/CB-1-000001/runs"))["items"]
    assert (summary["claim"], summary["verdict"]) == ("pass", "fail")
    run = await floor.done("GET", f"/runs/{summary['id']}")
    resistance = next(one for one in run["measurements"] if one["name"] == "resistance")
    assert (resistance["value"], resistance["low"], resistance["high"], resistance["verdict"]) == (0.9, 0, 0.2, "fail")
    assert next(one for one in run["measurements"] if one["name"] == "note")["value"] == "odd"


async def test_the_twin_answers_asks_with_the_facts_they_came_with(floor: Floor) -> None:
    await floor.released()
    at = datetime.now(UTC)
    fact = event("m-1", "mes.step.completed", at, {"unit": "CB-1-000001", "step": "crimp", "outcome": "pass"})
    ask = event("a-1", "mes.step.asked", at, {"unit": "CB-1-000001", "step": "crimp"})
    ask["data"].pop("at")
    answered = await floor.done("POST", "/stations/st-01/messages", ask)
    assert answered["settled"] == []
    (first,) = answered["answers"]
    assert (first["asked"], first["granted"]) == ("a-1", True)
    assert first["grant"]
    later = {**ask, "id": "a-2"}
    both = await floor.done("POST", "/stations/st-01/messages", [later, fact])
    assert [one["id"] for one in both["settled"]] == ["m-1"]
    assert [one["asked"] for one in both["answers"]] == ["a-2"]
    checked = await floor.done("POST", "/stations/st-01/messages?check=true", [{**ask, "id": "a-3"}])
    assert checked == {"settled": [], "answers": []}
