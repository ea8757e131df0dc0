"""What REST says of a floor against what the model makes of its messages: each question for itself."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.journeys.model.floor import Floor
from tests.journeys.model.order import FOREVER, moment
from tests.journeys.model.places import inside, uses
from tests.journeys.plant import Plant, until
from tests.journeys.story import Story

JOURNAL = {
    "mes.part.installed": "mes.part.installed",
    "mes.part.removed": "mes.part.removed",
    "mes.run.reported": "mes.run.judged",
    "mes.step.started": "mes.unit.step.started",
    "mes.step.completed": "mes.unit.step.completed",
    "mes.unit.packed": "mes.unit.packed",
    "mes.unit.shipped": "mes.unit.shipped",
}
"""The journal's type of each fact: one applied fact is one entry."""
DONE = ("completed", "packed", "shipped")


def compare(plant: Plant, story: Story, floor: Floor) -> None:
    """Ask everything; fails at the first answer that is not the model's."""
    check_fates(plant, floor)
    check_journal(plant, floor)
    check_units(plant, floor)
    check_runs(plant, floor)
    check_nonconformances(plant, story, floor)
    check_trees(plant, story, floor)
    check_recall(plant, floor)
    check_orders(plant, story, floor)


def check_fates(plant: Plant, floor: Floor) -> None:
    """Every message has its receipt, none was applied twice, and what was not applied is listed with its reasons."""

    def wrong() -> dict[str, Any]:
        told = {key: fates for key, fates in plant.receipts.items() if not key.startswith("probe-")}
        keys = told.keys() | floor.fates.keys()
        found = {key: settled(told.get(key, []), floor.fates.get(key, set())) for key in keys}
        return {key: (told.get(key), floor.fates.get(key)) for key in keys if found[key] != floor.fates.get(key)}

    until(lambda: not wrong(), "receipts (told, expected)", lambda: wrong())
    assert max(fates.count("applied") for fates in plant.receipts.values()) == 1
    for fate in ("pending", "rejected"):
        messages = list(plant.all("/messages", fate=fate))
        named = sorted(key for key, fates in floor.fates.items() if fate in fates)
        assert sorted(one["id"] or one["sha256"] for one in messages if one["sha256"]) == named
        assert all(one["reasons"] for one in messages)


def settled(told: list[str], expected: set[str]) -> set[str]:
    """What was told of a message in the end: its first receipt may have died with ingest, its wait may be over."""
    found = {"applied" if fate == "duplicate" and "applied" in expected else fate for fate in told}
    return found - {"pending"} if "applied" in found and "pending" not in expected else found


def check_journal(plant: Plant, floor: Floor) -> None:
    """Positions without a hole, the same in pages of any size, and one entry for each fact that was applied."""

    def unnumbered() -> list[Any]:
        histories = [plant.all(f"/units/{serial}/history") for serial in floor.units]
        return [entry for history in histories for entry in history if entry["position"] is None]

    until(lambda: not unnumbered(), "every entry has its position")
    entries = plant.journal()
    assert [one["position"] for one in entries] == list(range(len(entries)))
    assert plant.journal(limit=1000) == entries
    assert plant.journal(after=len(entries) // 2) == entries[len(entries) // 2 + 1 :]
    counted = Counter(one["type"] for one in entries)
    assert {one: counted[one] for one in JOURNAL.values()} == {JOURNAL[one]: floor.applied[one] for one in JOURNAL}
    assert counted["mes.unit.created"] >= len(floor.units)


def check_units(plant: Plant, floor: Floor) -> None:
    """Each made unit's state, steps, attempts, place and open questions."""
    found, expected = {}, {}
    for serial, unit in floor.units.items():
        view = plant.get(f"/units/{serial}")
        steps = {one["step"]: (one["status"], one["attempts"]) for one in view["steps"]}
        place = view["installed_in"] and (view["installed_in"]["serial"], view["installed_in"]["position"])
        found[serial] = (view["state"], steps, place, len(view["nonconformances"]), view["facts_pending"])
        steps = {name: (unit.status(name), unit.steps[name].attempts) for name in unit.route}
        place = next((one.place for one in floor.stays if one.serial == serial and one.closed is None), None)
        pending = sum(serial in names(event["data"]) for event in floor.pending)
        expected[serial] = (unit.state, steps, place, len(unit.open_failures), pending)
    assert found == expected


def names(data: dict[str, Any]) -> set[str | None]:
    """The serials that a message is about."""
    return {data.get("unit"), data.get("parent"), data.get("child", {}).get("serial")}


def check_runs(plant: Plant, floor: Floor) -> None:
    """Every run with the station's claim and our verdict, golden ones too, and the values as they were told."""
    listed = {
        one["id"]: {**one, "unit": serial} for serial in floor.units for one in plant.all(f"/units/{serial}/runs")
    }
    asked = ("unit", "step", "station", "run", "purpose", "claim", "verdict")
    found = Counter((*(one[name] for name in asked), moment(one["ended_at"])) for one in listed.values())
    runs = [{"purpose": "production", **one, "claim": one["outcome"]} for one in floor.runs]
    assert found == Counter((*(one.get(name) for name in asked), moment(one["ended_at"])) for one in runs)
    failed = next(one for one in listed.values() if one["claim"] == "pass" and one["verdict"] == "fail")
    view = plant.get(f"/runs/{failed['id']}")
    assert "fail" in {one["verdict"] for one in view["measurements"]}
    assert view["reasons"]


def check_nonconformances(plant: Plant, story: Story, floor: Floor) -> None:
    """All that ever were. One that turned out never to have been is closed as of its own beginning."""

    def within(at: datetime | None) -> datetime | None:
        """The arrival of what came from the future is known to nobody but the MES."""
        return min(at, story.ended + timedelta(seconds=1)) if at else None

    listed = [(one["unit"], one["step"], one["opened_at"], one["closed_at"]) for one in plant.all("/nonconformances")]
    found = [(unit, step, moment(opened), closed and moment(closed)) for unit, step, opened, closed in listed]
    failures = [(serial, one) for serial, unit in floor.units.items() for one in unit.failures]
    expected = [(serial, one.step, one.opened, one.closed) for serial, one in failures]
    found, expected = (
        [(unit, step, within(opened), within(closed)) for unit, step, opened, closed in told if opened != closed]
        for told in (found, expected)
    )
    assert Counter(found) == Counter(expected)


def check_trees(plant: Plant, story: Story, floor: Floor) -> None:
    """What is in every unit, at three moments of the day and now."""
    for serial in floor.units:
        for at in story.moments:
            tree = plant.get(f"/units/{serial}/genealogy", as_of=at.isoformat())["children"]
            assert in_order(bare(tree)) == in_order(inside(floor.stays, serial, at)), f"{serial} at {at}"
        tree = plant.get(f"/units/{serial}/genealogy")["children"]
        assert in_order(bare(tree)) == in_order(inside(floor.stays, serial, FOREVER - timedelta(1)))


def bare(nodes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nodes of a tree with what the model knows of them."""
    asked = ("position", "part", "serial", "lot", "quantity", "installed_by")
    return [
        {
            **{name: one[name] for name in asked},
            "installed_at": moment(one["installed_at"]),
            "children": bare(one["children"]),
        }
        for one in nodes
    ]


def in_order(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = [{**one, "children": in_order(one["children"])} for one in nodes]
    return sorted(told, key=lambda one: (one["position"], one["serial"] or "", one["lot"] or "", one["installed_at"]))


def check_recall(plant: Plant, floor: Floor) -> None:
    """Where every lot and every part was, ever and in the end."""
    for key in sorted({one.lot for one in floor.stays if one.lot}):
        check_uses(plant, "/where-used", {"lot": key}, uses(floor.stays, key))
    for key in sorted({one.serial for one in floor.stays if one.serial}):
        check_uses(plant, f"/units/{key}/where-used", {}, uses(floor.stays, key))
        check_uses(plant, "/where-used", {"serial": key}, uses(floor.stays, key))


def check_uses(plant: Plant, path: str, query: dict[str, str], expected: list[Any]) -> None:
    found = list(plant.all(path, **query, ever="true"))
    told = sorted((one["top_serial"], one["path"], moment(one["since"]), until_of(one)) for one in found)
    assert told == expected, f"{path} {query}"
    now = sorted((one["top_serial"], one["path"]) for one in plant.all(path, **query))
    assert now == sorted(one[:2] for one in expected if one[3] == FOREVER), f"{path} {query} now"


def until_of(use: dict[str, Any]) -> datetime:
    return moment(use["until"]) if use["until"] else FOREVER


def check_orders(plant: Plant, story: Story, floor: Floor) -> None:
    """Each order's units by state; it is completed when all of them are."""
    for order in (*story.orders, story.late_order):
        view = plant.get(f"/work-orders/{order['number']}")
        states = [floor.units[serial].state for serial in order["serials"]]
        assert view["units"] == dict(Counter(states))
        assert sorted(view["serials"]) == sorted(order["serials"])
        assert view["state"] == ("completed" if set(states) <= set(DONE) else "released")
