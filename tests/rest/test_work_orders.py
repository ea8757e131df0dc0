"""Work orders from the ERP's word to units on the floor."""

import asyncio
import time
from datetime import date

import pytest
from sqlalchemy import text

from tests.rest.floor import Floor, order


async def count(floor: Floor, statement: str) -> int:
    async with floor.database.reading() as connection:
        return int((await connection.execute(text(statement))).scalar_one())


async def test_an_order_is_created_repeated_and_in_conflict(floor: Floor) -> None:
    await floor.product()
    body = order(due="2026-12-24T00:00:00+09:00", priority=5, customer_order="C-9")
    first = await floor.call("PUT", "/work-orders/WO-1", body)
    again = await floor.call("PUT", "/work-orders/WO-1", {**body, "due": "2026-12-24"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["state"] == "created"
    assert date.fromisoformat(first.json()["due"]) == date(2026, 12, 24)
    problem = await floor.refused(409, "PUT", "/work-orders/WO-1", order(4))
    assert problem["code"] == "order_conflict"


async def test_a_repeat_after_a_change_is_still_the_same_order(floor: Floor) -> None:
    await floor.product()
    await floor.done("PUT", "/work-orders/WO-1", order())
    await floor.done("PATCH", "/work-orders/WO-1", {"priority": 9}, headers={"If-Match": "*"})
    again = await floor.call("PUT", "/work-orders/WO-1", order())
    assert again.status_code == 200
    assert again.json()["priority"] == 9


async def test_release_creates_units_with_serials_of_the_pattern(floor: Floor) -> None:
    view = await floor.released(quantity=3)
    assert view["state"] == "released"
    assert view["serials"] == ["CB-1-000001", "CB-1-000002", "CB-1-000003"]
    assert view["units"] == {"created": 3}
    unit = await floor.done("GET", "/units/CB-1-000002")
    assert unit["state"] == "created"
    assert unit["work_order"] == "WO-1"
    assert [step["step"] for step in unit["steps"] if step["may_start"]] == ["crimp"]
    history = await floor.done("GET", "/units/CB-1-000002/history")
    assert [entry["type"] for entry in history["items"]] == ["mes.unit.created"]
    assert [one["kind"] for one in history["items"][0]["data"]["subjects"]] == ["unit", "work_order"]


async def test_numbers_go_on_in_the_next_order(floor: Floor) -> None:
    await floor.released("WO-1", 2)
    assert (await floor.released("WO-2", 1))["serials"] == ["CB-1-000003"]


async def test_given_serials_are_used_and_taken_ones_named(floor: Floor) -> None:
    view = await floor.released("WO-1", 2, serials=["A1", "A2"])
    assert sorted(view["serials"]) == ["A1", "A2"]
    await floor.done("PUT", "/work-orders/WO-2", order(2, serials=["A2", "A3"]))
    problem = await floor.refused(409, "POST", "/work-orders/WO-2/release")
    assert problem["code"] == "serial_taken"
    assert problem["reasons"][0]["facts"]["serials"] == ["A2"]
    assert (await floor.done("GET", "/work-orders/WO-2"))["state"] == "created"


async def test_a_pattern_passes_over_serials_given_by_hand(floor: Floor) -> None:
    await floor.released("WO-1", 1, serials=["CB-1-000002"])
    assert (await floor.released("WO-2", 3))["serials"] == ["CB-1-000001", "CB-1-000003", "CB-1-000004"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"serials": ["A1"]}, "serials_mismatch"),
        ({"serials": ["A1", "A1", "A2"]}, "serials_mismatch"),
        ({"revision": "Z"}, "unknown_product"),
    ],
)
async def test_what_can_not_be_ordered(floor: Floor, fields: dict[str, object], code: str) -> None:
    await floor.product()
    problem = await floor.refused(
        404 if code == "unknown_product" else 422, "PUT", "/work-orders/W", {**order(), **fields}
    )
    assert problem["code"] == code


async def test_only_a_made_part_is_ordered(floor: Floor) -> None:
    bought = {"part": "PSU-1", "revision": "A", "name": "PSU", "family": "power", "source": "bought"}
    await floor.done("PUT", "/products/PSU-1/revisions/A", bought)
    body = {"part": "PSU-1", "revision": "A", "quantity": 1}
    assert (await floor.refused(409, "PUT", "/work-orders/W", body))["code"] == "not_serialized"


async def test_a_product_without_pattern_needs_serials(floor: Floor) -> None:
    await floor.product(part="CB-2", serial_pattern=None)
    await floor.done("PUT", "/work-orders/W", {**order(), "part": "CB-2"})
    assert (await floor.refused(409, "POST", "/work-orders/W/release"))["code"] == "serials_missing"


async def test_a_pattern_that_has_no_numbers_left(floor: Floor) -> None:
    await floor.product(part="CB-2", serial_pattern="X{n:1}")
    await floor.done("PUT", "/work-orders/W", {**order(10), "part": "CB-2"})
    assert (await floor.refused(409, "POST", "/work-orders/W/release"))["code"] == "serials_exhausted"


async def test_an_order_of_10_000_is_released_in_seconds(floor: Floor) -> None:
    await floor.product()
    await floor.done("PUT", "/work-orders/WO-1", order(10_000))
    began = time.perf_counter()
    view = await floor.done("POST", "/work-orders/WO-1/release")
    took_s = time.perf_counter() - began
    assert len(view["serials"]) == 10_000
    assert took_s < 15, took_s
    assert await count(floor, "SELECT count(*) FROM journal WHERE type = 'mes.unit.created'") == 10_000


async def test_the_life_of_an_order(floor: Floor) -> None:
    await floor.released()
    assert (await floor.done("POST", "/work-orders/WO-1/hold", {"reason": "waiting for parts"}))["state"] == "held"
    (hold,) = (await floor.done("GET", "/holds?in_force=true"))["items"]
    assert (hold["scope"], hold["key"], hold["reason"]) == ("work_order", "WO-1", "waiting for parts")
    assert (await floor.done("GET", "/units/CB-1-000001"))["holds"] == [hold["id"]]
    assert (await floor.refused(409, "POST", "/work-orders/WO-1/hold"))["code"] == "move_not_allowed"
    assert (await floor.done("POST", "/work-orders/WO-1/resume"))["state"] == "released"
    assert (await floor.done("GET", "/holds?in_force=true"))["items"] == []
    assert (await floor.done("POST", "/work-orders/WO-1/close"))["state"] == "closed"
    assert (await floor.refused(409, "POST", "/work-orders/WO-1/cancel"))["code"] == "move_not_allowed"


async def test_resuming_an_order_leaves_others_holds_on_it(floor: Floor) -> None:
    await floor.released()
    await floor.done("POST", "/holds", {"scope": "work_order", "key": "WO-1", "reason": "quality"})
    await floor.done("POST", "/work-orders/WO-1/hold")
    await floor.done("POST", "/work-orders/WO-1/resume")
    (left,) = (await floor.done("GET", "/holds?in_force=true"))["items"]
    assert left["reason"] == "quality"


async def test_a_change_needs_the_version_that_was_read(floor: Floor) -> None:
    await floor.product()
    etag = (await floor.call("PUT", "/work-orders/WO-1", order())).headers["etag"]
    assert (await floor.refused(428, "PATCH", "/work-orders/WO-1", {"priority": 1}))["code"] == "precondition_required"
    changed = await floor.call("PATCH", "/work-orders/WO-1", {"priority": 1}, headers={"If-Match": etag})
    assert changed.json()["priority"] == 1
    assert changed.headers["etag"] != etag
    problem = await floor.refused(412, "PATCH", "/work-orders/WO-1", {"priority": 2}, headers={"If-Match": etag})
    assert problem["code"] == "version_mismatch"


async def test_more_units_of_a_released_order_are_created(floor: Floor) -> None:
    await floor.released(quantity=2)
    view = await floor.done("PATCH", "/work-orders/WO-1", {"quantity": 4}, headers={"If-Match": "*"})
    assert len(view["serials"]) == 4
    less = await floor.done("PATCH", "/work-orders/WO-1", {"quantity": 1}, headers={"If-Match": "*"})
    assert (less["quantity"], len(less["serials"])) == (1, 4)


async def test_never_below_what_is_started(floor: Floor) -> None:
    await floor.released(quantity=2)
    async with floor.database.transaction() as connection:
        await connection.execute(text("UPDATE unit SET state = 'in_process'"))
    problem = await floor.refused(409, "PATCH", "/work-orders/WO-1", {"quantity": 1}, headers={"If-Match": "*"})
    assert problem["code"] == "below_started"


async def test_a_closed_order_does_not_change(floor: Floor) -> None:
    await floor.released()
    await floor.done("POST", "/work-orders/WO-1/close")
    problem = await floor.refused(409, "PATCH", "/work-orders/WO-1", {"priority": 1}, headers={"If-Match": "*"})
    assert problem["code"] == "work_order_closed"


async def test_eight_writers_put_one_order_and_release_it_once(floor: Floor) -> None:
    await floor.product()
    put = await asyncio.gather(*(floor.call("PUT", "/work-orders/WO-1", order(5)) for _ in range(8)))
    assert sorted(one.status_code for one in put) == [200] * 7 + [201]
    released = await asyncio.gather(*(floor.call("POST", "/work-orders/WO-1/release") for _ in range(8)))
    assert sorted(one.status_code for one in released) == [200] + [409] * 7
    assert await count(floor, "SELECT count(*) FROM unit") == 5
    assert await count(floor, "SELECT count(*) FROM journal WHERE type = 'mes.order.created'") == 1


async def test_lists_are_paged_without_gap_or_repetition(floor: Floor) -> None:
    await floor.product()
    for number in range(7):
        await floor.done("PUT", f"/work-orders/WO-{number}", order())
    seen, cursor = [], None
    while True:
        page = await floor.done("GET", "/work-orders", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        seen += [one["number"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [f"WO-{number}" for number in range(7)]


async def test_of_orders_with_the_same_serial_one_is_released(floor: Floor) -> None:
    await floor.product()
    for number in range(4):
        await floor.done("PUT", f"/work-orders/WO-{number}", order(2, serials=["A1", f"B{number}"]))
    paths = [f"/work-orders/WO-{number}/release" for number in range(4)]
    released = await asyncio.gather(*(floor.call("POST", path) for path in paths))
    assert sorted(one.status_code for one in released) == [200, 409, 409, 409]
    assert {one.json()["code"] for one in released if one.status_code == 409} == {"serial_taken"}
    assert await count(floor, "SELECT count(*) FROM unit") == 2
