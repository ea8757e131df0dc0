"""Who was where, when. The newest scan wins: who is scanned elsewhere has left, who was in the slot has made room."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.journeys.model.order import FOREVER, Key


@dataclass
class Stay:
    """A part, or some of a lot, in a position of a parent. `closed` None: it is there."""

    parent: str
    position: str
    part: str
    serial: str | None
    lot: str | None
    quantity: float | None
    said_by: Key
    opened: Key
    closed: Key | None = None

    @property
    def place(self) -> tuple[str, str]:
        return self.parent, self.position

    @property
    def since(self) -> datetime:
        return self.opened.at

    @property
    def until(self) -> datetime:
        return self.closed.at if self.closed else FOREVER


def stays_of(events: Iterable[tuple[Key, dict[str, Any]]]) -> list[Stay]:
    """Every stay that events in the order of the floor make, but for those that ended when they began."""
    stays: list[Stay] = []
    for key, event in events:
        there = sorted((one for one in stays if one.closed is None), key=lambda one: one.said_by)
        if event["type"] == "mes.part.installed":
            stays += _installed(event["data"], key, there)
        elif event["type"] == "mes.part.removed":
            stays += _removed(event["data"], key, there)
    return [one for one in stays if one.since != one.until]


def _installed(data: dict[str, Any], key: Key, there: list[Stay]) -> list[Stay]:
    child = data["child"]
    serial = child.get("serial")
    new = Stay(data["parent"], data["position"], child["part"], serial, child.get("lot"), None, key, key)
    if not serial:
        return [replace(new, quantity=child.get("quantity"))]
    around = {new.parent}
    for _ in there:
        around |= {one.parent for one in there if one.serial in around}
    if serial in around or any((one.place, one.serial) == (new.place, serial) for one in there):
        return []
    for one in there:
        if one.serial == serial or (one.serial and one.place == new.place):
            one.closed = key
    return [new]


def _removed(data: dict[str, Any], key: Key, there: list[Stay]) -> list[Stay]:
    child = data["child"]
    wanted = ((data["parent"], data["position"]), child["part"], child.get("serial"), child.get("lot"))
    due = child.get("quantity")
    for one in there:
        if (one.place, one.part, one.serial, one.lot) != wanted:
            continue
        if due is None:
            one.closed = key
            continue
        if due <= 0 or one.quantity is None:
            break
        one.closed = key
        if one.quantity > due:
            return [replace(one, quantity=one.quantity - due, opened=key, closed=None)]
        due -= one.quantity
    return []


def inside(stays: list[Stay], parent: str, at: datetime) -> list[dict[str, Any]]:
    """The tree below a unit at a moment."""
    here = [one for one in stays if one.parent == parent and one.since <= at < one.until]
    return [
        {
            **{name: getattr(one, name) for name in ("position", "part", "serial", "lot", "quantity")},
            "installed_at": one.since,
            "installed_by": {"source": one.said_by.source, "id": one.said_by.id},
            "children": inside(stays, one.serial, at) if one.serial else [],
        }
        for one in here
    ]


Use = tuple[str, str, datetime, datetime]
"""A top unit, the path from it, and the time in which it was so."""


def uses(stays: list[Stay], part: str) -> list[Use]:
    """Every use, ever, of a serial or a lot."""
    held = [one for one in stays if part in (one.serial, one.lot)]
    return sorted(use for one in held for use in _above(stays, one.parent, one.position, one.since, one.until))


def _above(stays: list[Stay], unit: str, path: str, since: datetime, until: datetime) -> list[Use]:
    found: list[Use] = []
    alone = since
    over = [one for one in stays if one.serial == unit and one.since < until and since < one.until]
    for one in sorted(over, key=lambda one: one.since):
        if alone < one.since:
            found.append((unit, path, alone, one.since))
        alone = one.until
        found += _above(stays, one.parent, f"{one.position}/{path}", max(since, one.since), min(until, one.until))
    return [*found, (unit, path, alone, until)] if alone < until else found
