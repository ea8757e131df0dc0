"""Whatever is sent, the answer is one that the sender can act on: never a 500, always the field."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mes.app import create_app
from mes.db.session import Database
from mes.rest.envelope import API_VERSION
from mes.settings import Settings
from tests.rest.floor import API, Floor, cable, order
from tests.rest.routes import RouteCase, routes

LINE = {"stations": [{"name": "a", "kind": "b"}], "time_zone": "UTC"}


def wrong_values(schema: dict[str, Any]) -> Iterator[Any]:
    """Values that can't be right where a schema holds."""
    kind = schema.get("type")
    yield from {
        "string": (5, ["x"], {}, True, "", "x" * 5000, "a\0b"),
        "integer": ("5", 1.5, True, [], 10**30, -(10**30), 10**15),
        "number": ("5", True, [], {}, -1, 10**30),
        "boolean": ("yes", 2, []),
        "array": ("x", {}, 5),
        "object": ("x", [], 5),
    }.get(kind or "", ())
    if schema.get("format") == "date-time":
        yield from ("2026-11-22", "2026-11-22T10:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "now")
    if schema.get("format") == "date":
        yield from ("0001-01-01", "2026-02-30", "2026-11-22T10:00", "soon")
    if schema.get("pattern", "").startswith("^[!$&"):
        yield from ("with blank", "sla/sh", "x" * 65, "ünïcode", "new\nline", "%41", 'quo"te')
    if "enum" in schema:
        yield "none of these"


def mutations(body: Any, schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The body with one field wrong, and the field's path, for each field and each way to be wrong."""
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        for wrong in wrong_values(field):
            changed = copy.deepcopy(body)
            changed[name] = wrong
            yield where, changed
        if isinstance(body.get(name), list) and body[name] and field.get("items", {}).get("type") == "object":
            for inner, element in mutations(body[name][0], field["items"], f"{where}[0]"):
                changed = copy.deepcopy(body)
                changed[name][0] = element
                yield inner, changed
    for name in schema.get("required", ()):
        changed = copy.deepcopy(body)
        del changed[name]
        yield f"{path}.{name}" if path else name, changed
    unknown = copy.deepcopy(body)
    unknown["no_such_field"] = 1
    yield f"{path}.no_such_field" if path else "no_such_field", unknown


def with_bodies(floor: Floor) -> list[RouteCase]:
    """Routes whose body is checked by its schema; product documents and station messages have their own."""
    return [case for case in routes(floor.app) if case.body is not None and (case.schema or {}).get("properties")]


async def test_each_field_wrong_in_turn(floor: Floor) -> None:
    tried = 0
    for case in with_bodies(floor):
        if "unit" in case.body or "specversion" in case.body:
            continue
        for field, body in mutations(case.body, case.schema or {}):
            answer = await floor.call(case.method, case.path, body, headers={"If-Match": "*"})
            assert answer.status_code in (400, 422), (case.name, field, body, answer.text)
            fields = [one["field"] for one in answer.json()["errors"]]
            assert any(one == field or one.startswith((f"{field}[", f"{field}.")) for one in fields), (
                case.name,
                field,
                answer.text,
            )
            tried += 1
    assert tried > 200


FREE = {"step", "channel", "run"}
"""Query parameters that may be any text, blanks included."""


async def test_each_query_parameter_wrong_and_unknown(floor: Floor) -> None:
    for case in routes(floor.app):
        problem = await floor.refused(422, case.method, f"{case.path}?no_such=1", case.body)
        assert problem["errors"][0]["field"] == "no_such", case.name
        for name in case.query:
            twice = await floor.refused(422, case.method, f"{case.path}?{name}=1&{name}=2", case.body)
            assert any(one["field"] == name for one in twice["errors"]), (case.name, name)
            for wrong in ("%00", "x" * 3000, "%ED%A0%80%20")[: 2 if name in FREE else 3]:
                problem = await floor.refused(422, case.method, f"{case.path}?{name}={wrong}", case.body)
                assert any(one["field"] == name for one in problem["errors"]), (case.name, name, wrong)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "9" * 30, "x"])
async def test_limits_are_within_limits(floor: Floor, limit: str) -> None:
    problem = await floor.refused(422, "GET", f"/units?limit={limit}")
    assert problem["errors"][0]["field"] == "limit"


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJhIl0", "W10", "WzFd", "WyIAIl0", "%C3%A9", "bnVsbA"])
async def test_a_cursor_nobody_gave(floor: Floor, cursor: str) -> None:
    problem = await floor.refused(422, "GET", f"/units?cursor={cursor}")
    assert problem["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"null", 422),
        (b"[]", 422),
        (b"\xff\xfe", 400),
        (b'{"part": NaN}', 400),
        (b'{"quantity": Infinity}', 400),
        (b'{"quantity": 1e999}', 400),
        (b'{"part": "\\ud800"}', 400),
        (b'{"part": "a\\u0000b"}', 422),
        (b'{"a\\u0000b": 1}', 422),
        (b'{"quantity": ' + b"9" * 6000 + b"}", 400),
        (b'{"quantity": 18446744073709551617}', 422),
        (b"[" * 10_000 + b"]" * 10_000, 400),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
        (b'{"part": "CB-1"} trailing', 400),
    ],
)
@pytest.mark.parametrize("path", ["/work-orders/W", "/products/P/revisions/A", "/lines/L"])
async def test_bodies_that_are_no_json(floor: Floor, path: str, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {floor.tokens['admin']}", "Content-Type": "application/json"}
    answer = await floor.client.put(API + path, content=body, headers=headers)
    assert answer.status_code in (status, 422), (body[:60], answer.text)
    assert answer.json()["code"] in ("malformed_json", "invalid")


async def test_half_a_surrogate_pair_is_named(floor: Floor) -> None:
    headers = {"Authorization": f"Bearer {floor.tokens['admin']}", "Content-Type": "application/json"}
    body = b'{"stations": [{"name": "\\ud800", "kind": "x"}]}'
    answer = await floor.client.put(f"{API}/lines/L", content=body, headers=headers)
    assert answer.json()["code"] == "malformed_json"
    assert answer.json()["errors"][0]["field"] == "stations[0].name"


async def test_a_body_of_another_kind(floor: Floor) -> None:
    headers = {"Authorization": f"Bearer {floor.tokens['admin']}", "Content-Type": "text/plain"}
    answer = await floor.client.put(f"{API}/work-orders/W", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_body_too_large_is_not_read(floor: Floor) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1600):
            sent += 65536
            yield b" " * 65536

    headers = {"Authorization": f"Bearer {floor.tokens['admin']}", "Content-Type": "application/json"}
    answer = await floor.client.put(f"{API}/work-orders/W", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert sent < 1_000_000
    declared = await floor.client.put(f"{API}/work-orders/W", content=b" " * 300_000, headers=headers)
    assert declared.status_code == 413


async def test_addresses_and_methods_that_are_not_there(floor: Floor) -> None:
    assert (await floor.refused(404, "GET", "/no-such"))["code"] == "not_found"
    problem = await floor.call("DELETE", "/work-orders/W")
    assert (problem.status_code, problem.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in problem.headers["allow"]
    head = await floor.client.head(f"{API}/units")
    assert head.status_code == 405
    assert head.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/products/P/revisions/A", "unknown_product"),
        ("/work-orders/W", "unknown_order"),
        ("/lines/L", "unknown_line"),
        ("/stations/S", "unknown_station"),
        ("/units/U", "unknown_unit"),
        ("/units/U/genealogy", "unknown_unit"),
        ("/units/U/samples", "unknown_unit"),
        ("/units/U/inventory", "unknown_unit"),
        ("/runs/00000000-0000-7000-8000-000000000000", "unknown_run"),
        ("/holds/00000000-0000-7000-8000-000000000000", "unknown_hold"),
        ("/messages/00000000-0000-7000-8000-000000000000", "unknown_message"),
        ("/nonconformances/00000000-0000-7000-8000-000000000000", "unknown_nonconformance"),
        ("/where-used?part=P", "unknown_part"),
    ],
)
async def test_what_nobody_knows(floor: Floor, path: str, code: str) -> None:
    assert (await floor.refused(404, "GET", path))["code"] == code


@pytest.mark.parametrize("serial", ["a%00b", "%FF", "a%20b", "x" * 65, "%E2%82%AC", "a+b"])
async def test_serials_that_can_not_be(floor: Floor, serial: str) -> None:
    problem = await floor.refused(422, "GET", f"/units/{serial}")
    assert problem["errors"][0]["field"] == "serial"


async def test_a_definition_never_changes(floor: Floor) -> None:
    await floor.product()
    again = await floor.call("PUT", "/products/CB-1/revisions/A", cable())
    assert again.status_code == 200
    other = cable(name="Another cable")
    assert (await floor.refused(409, "PUT", "/products/CB-1/revisions/A", other))["code"] == "definition_conflict"
    document = await floor.done("GET", "/products/CB-1/revisions/A")
    assert document["name"] == "Cable"
    assert (await floor.call("PUT", "/products/CB-1/revisions/A", document)).status_code == 200
    (listed,) = (await floor.done("GET", "/products?family=cabling"))["items"]
    assert (listed["part"], listed["revision"]) == ("CB-1", "A")


async def test_a_wrong_definition_is_told_everything_at_its_place(floor: Floor) -> None:
    document = cable(family="toys", route=[{"step": "crimp", "station_kind": "bench", "after": ["nothing"]}])
    problem = await floor.refused(422, "PUT", "/products/CB-1/revisions/A", document)
    assert {"family", "route[0].after[0]"} <= {one["field"] for one in problem["errors"]}
    problem = await floor.refused(422, "PUT", "/products/CB-1/revisions/B", cable())
    assert problem["errors"][0]["field"] == "revision"


async def test_no_part_contains_itself_through_others(floor: Floor) -> None:
    await floor.product(part="A", bom=[{"position": "P1", "part": "B"}])
    document = cable(part="B", bom=[{"position": "P1", "part": "C", "alternates": ["A"]}])
    problem = await floor.refused(422, "PUT", "/products/B/revisions/A", document)
    assert problem["errors"][0]["field"] == "bom"


async def test_a_line_is_made_and_changed(floor: Floor) -> None:
    first = await floor.call("PUT", "/lines/L2", LINE)
    assert (first.status_code, first.json()["stations"]) == (201, LINE["stations"])
    changed = {**LINE, "stations": [{"name": "c", "kind": "b"}], "time_zone": "Europe/Berlin"}
    assert (await floor.call("PUT", "/lines/L2", changed)).status_code == 200
    assert (await floor.done("GET", "/lines/L2"))["time_zone"] == "Europe/Berlin"
    assert (await floor.done("GET", "/stations/a"))["line"] is None
    assert (await floor.done("GET", "/stations/c"))["line"] == "L2"
    assert [one["name"] for one in (await floor.done("GET", "/lines"))["items"]] == ["L1", "L2"]
    assert [one["name"] for one in (await floor.done("GET", "/stations?line=L2"))["items"]] == ["c"]


async def test_time_zones_and_plans_that_are_not_there(floor: Floor) -> None:
    problem = await floor.refused(422, "PUT", "/lines/L2", {**LINE, "time_zone": "Mars/Olympus"})
    assert problem["errors"][0]["field"] == "time_zone"
    plan = [{"shift": "late", "part": "P", "quantity": 1}]
    assert "late" in (await floor.refused(422, "PUT", "/lines/L2", {**LINE, "plan": plan}))["detail"]


async def test_holds_are_placed_and_released_once(floor: Floor) -> None:
    await floor.released()
    body = {"scope": "unit", "key": "CB-1-000001", "reason": "scratched", "by": "j.doe"}
    hold = await floor.done("POST", "/holds", body, role="quality")
    assert (hold["placed_by"], hold["released_at"]) == ("j.doe", None)
    assert (await floor.done("GET", "/units/CB-1-000001"))["holds"] == [hold["id"]]
    released = await floor.done("POST", f"/holds/{hold['id']}/release", role="quality")
    assert released["released_by"] == "quality-token"
    assert (await floor.refused(409, "POST", f"/holds/{hold['id']}/release"))["code"] == "move_not_allowed"
    for scope, code in (("unit", "unknown_unit"), ("lot", "unknown_unit"), ("part", "unknown_part")):
        problem = await floor.refused(404, "POST", "/holds", {"scope": scope, "key": "NO", "reason": "?"})
        assert problem["code"] == code
    for scope, code in (("station", "unknown_station"), ("work_order", "unknown_order")):
        problem = await floor.refused(404, "POST", "/holds", {"scope": scope, "key": "NO", "reason": "?"})
        assert problem["code"] == code


async def test_request_ids_are_kept_if_they_can_be(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "mes.rest.envelope"):
        kept = await floor.client.get("/healthz", headers={"X-Request-Id": "erp-7.1"})
    assert "request erp-7.1: GET /healthz 200" in caplog.text
    assert kept.headers["x-request-id"] == "erp-7.1"
    made = await floor.client.get("/healthz", headers={"X-Request-Id": "two words"})
    assert re.fullmatch(r"[0-9a-f-]{36}", made.headers["x-request-id"])
    assert made.headers["x-mes-api"] == str(API_VERSION)


async def test_a_failure_of_ours_is_a_problem_too(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(database_url)
    app = create_app(database, Settings())

    @app.get("/api/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mes") as client:
        answer = await client.get("/api/broken", headers={"X-Request-Id": "r-1"})
    await database.close()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == "r-1"
    assert [record.__dict__["request_id"] for record in caplog.records if record.levelname == "ERROR"] == ["r-1"]


async def test_without_a_database_it_says_so() -> None:
    database = Database("postgresql://nobody:x@127.0.0.1:1/none")
    app = create_app(database, Settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mes") as client:
        answer = await client.get(f"{API}/units", headers={"Authorization": "Bearer mes_" + "0" * 32 + "_x"})
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
    await database.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert (ready.status_code, alive.status_code) == (503, 200)


async def test_ready_names_what_is_missing(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    app = create_app(database, Settings(mqtt_url="mqtt://127.0.0.1:1"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mes") as client:
        ready = await client.get("/readyz")
    await database.close()
    assert ready.status_code == 503
    assert ready.json()["checks"]["migrations"].startswith("missing")
    assert ready.json()["checks"]["broker"].startswith("can't be reached")


async def test_metrics_tell_how_the_record_keeps_up(floor: Floor) -> None:
    await floor.product()
    await floor.done("PUT", "/work-orders/WO-1", order())
    lines = (await floor.client.get("/metrics")).text.splitlines()
    numbers = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if not line.startswith("#")}
    assert int(numbers["mes_journal_unnumbered"]) >= 2
    assert numbers["mes_messages_pending"] == "0"
    assert int(numbers['mes_http_answers_total{method="PUT",status="201"}']) == 2


async def test_documents_are_json_in_one_form(floor: Floor) -> None:
    await floor.product()
    answer = await floor.call("GET", "/products/CB-1/revisions/A")
    assert json.dumps(answer.json(), separators=(",", ":"), sort_keys=True) == answer.text
