"""What is wrong with a product definition before anyone builds by it: every problem at once, with its place and mend.

`check` looks at one definition alone; `check_against` also at the other parts that are known, since a part may contain
itself through them. Places are those of the document that people write: `route[2].after[0]`.
"""

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from mes.domain import identity, quantities
from mes.domain.precedence import cycle_through, never_ready
from mes.domain.product import (
    FAMILIES,
    NETLIST,
    ON_NO_ANSWER,
    SOURCES,
    TRACKINGS,
    BomLine,
    Characteristic,
    Connection,
    Definition,
    Step,
)

ENDPOINT_LENGTH_MAX = 64
ENDPOINT_RULE = f"use 1 to {ENDPOINT_LENGTH_MAX} printable characters, no blank around them"
QUANTITY_MAX = Decimal(10) ** 9
QUANTITY_DECIMALS_MAX = 6


_Item = TypeVar("_Item")


class Problem(NamedTuple):
    """One thing wrong with a document: where, and what with its mend."""

    place: str
    text: str


def is_endpoint(text: str) -> bool:
    """Whether a text can name the end of a wire: labels on ports are freer than names, and are compared exactly."""
    return 0 < len(text) <= ENDPOINT_LENGTH_MAX and text.isprintable() and text == text.strip()


def check(definition: Definition) -> list[Problem]:
    """Everything wrong with a definition that can be seen in it alone."""
    return [
        *_head(definition),
        *_bom(definition),
        *_route(definition),
        *_characteristics(definition.characteristics),
        *_netlist(definition.netlist),
        *_firmware(definition),
    ]


def children(definition: Definition) -> frozenset[str]:
    """Every part that a definition's positions may hold, alternates included."""
    alternates = (alternate.part for line in definition.bom for alternate in line.alternates)
    return frozenset((*(line.part for line in definition.bom), *alternates))


def check_against(definition: Definition, others: Mapping[str, Definition | Collection[str]]) -> list[Problem]:
    """What is wrong with a definition given other parts: their definitions, or just the parts they may contain."""
    contains: dict[str, Collection[str]] = {
        part: children(inside) if isinstance(inside, Definition) else inside for part, inside in others.items()
    }
    contains[definition.part] = children(definition)
    problems = list(_quantities_of_serialized(definition, others))
    path = cycle_through(definition.part, contains)
    if len(path) > 1:  # a part that is its own child is found in the definition alone
        text = f"{definition.part} contains itself: {' > '.join((*path, path[0]))}; take one of these parts out"
        problems.append(Problem("bom", text))
    return problems


def _quantities_of_serialized(
    definition: Definition, others: Mapping[str, Definition | Collection[str]]
) -> Iterator[Problem]:
    for place, line in _placed("bom", definition.bom):
        child = others.get(line.part)
        if isinstance(child, Definition) and child.tracking == "serial" and line.quantity != 1:
            text = f"is {line.quantity}, but {line.part} is tracked by serial: use 1 and name each position"
            yield Problem(f"{place}.quantity", text)


def _placed(section: str, items: Sequence[_Item]) -> Iterator[tuple[str, _Item]]:
    return ((f"{section}[{index}]", item) for index, item in enumerate(items))


def _word(place: str, text: str, words: Sequence[str]) -> Iterator[Problem]:
    if text not in words:
        yield Problem(place, f"{text!r} is not known; use {', '.join(words[:-1])} or {words[-1]}")


def _name(place: str, text: str) -> Iterator[Problem]:
    if problem := identity.check_name(text):
        yield Problem(place, f"{text[:80]!r} {problem}")


def _path(place: str, text: str) -> Iterator[Problem]:
    if problem := identity.check_path(text):
        yield Problem(place, f"{text[:80]!r} {problem}")


def _twice(named: Iterable[tuple[str, Hashable]], what: str) -> Iterator[Problem]:
    """A problem for each repetition of something, at its later place, naming the first."""
    first: dict[Hashable, str] = {}
    for place, value in named:
        if value in first:
            shown = " - ".join(part for part in value if part) if isinstance(value, tuple) else value
            yield Problem(place, f"{what} {shown} is already at {first[value]}; take one out")
        first.setdefault(value, place)


def _head(definition: Definition) -> Iterator[Problem]:
    yield from _name("part", definition.part)
    yield from _name("revision", definition.revision)
    if identity.is_name(definition.part) and identity.is_placeholder(definition.part):
        yield Problem("part", f"{definition.part!r} is what unprogrammed hardware reports; give the real part number")
    if not definition.name.strip():
        yield Problem("name", "is empty; say what the part is")
    yield from _word("family", definition.family, FAMILIES)
    yield from _word("source", definition.source, SOURCES)
    yield from _word("tracking", definition.tracking, TRACKINGS)
    if definition.serial_pattern is not None:
        if problem := identity.check_pattern(definition.serial_pattern):
            yield Problem("serial_pattern", f"{definition.serial_pattern!r} {problem}")
        if definition.tracking != "serial":
            yield Problem("serial_pattern", f"a part tracked by {definition.tracking} has no serials; take it out")
    if definition.source == "made" and definition.tracking in ("lot", "bulk"):
        yield Problem("tracking", f"a made part is tracked by serial, not {definition.tracking}; use serial")


def _bom(definition: Definition) -> Iterator[Problem]:
    steps = {step.step for step in definition.route}
    lines = list(_placed("bom", definition.bom))
    for place, line in lines:
        yield from _bom_line(place, line, definition.part)
        if line.retest_from is not None and line.retest_from not in steps:
            yield Problem(f"{place}.retest_from", f"the route has no step {line.retest_from!r}; name one of its steps")
    positions = (
        (f"{place}.{position_place}", position)
        for place, line in lines
        for position_place, position in _placed("positions", line.positions)
    )
    yield from _twice(positions, "position")


def _bom_line(place: str, line: BomLine, parent: str) -> Iterator[Problem]:
    if not line.positions:
        yield Problem(f"{place}.positions", "is empty; name at least one position")
    for where, position in _placed(f"{place}.positions", line.positions):
        yield from _name(where, position)
    parts = [(f"{place}.part", line.part)]
    parts += [(f"{where}.part", alternate.part) for where, alternate in _placed(f"{place}.alternates", line.alternates)]
    for where, part in parts:
        yield from _name(where, part)
        if part == parent:
            yield Problem(where, f"{part} contains itself; take it out of its own bom")
    alternates = _placed(f"{place}.alternates", line.alternates)
    yield from _twice(((where, (one.part, one.maker)) for where, one in alternates), "alternate")
    if not (line.quantity.is_finite() and 0 < line.quantity < QUANTITY_MAX):
        yield Problem(f"{place}.quantity", f"is {line.quantity}; use more than 0 and less than {QUANTITY_MAX}")
    elif line.quantity != round(line.quantity, QUANTITY_DECIMALS_MAX):
        yield Problem(f"{place}.quantity", f"is {line.quantity}; at most {QUANTITY_DECIMALS_MAX} decimals are kept")


def _route(definition: Definition) -> Iterator[Problem]:
    if definition.source == "bought" and definition.route:
        yield Problem("route", "a bought part has no route here; take it out, or use source: made")
    if definition.source == "made" and not definition.route:
        yield Problem("route", "is empty; a made part needs at least one step")
    characteristics = {characteristic.name for characteristic in definition.characteristics}
    positions = {position for line in definition.bom for position in line.positions}
    steps = list(_placed("route", definition.route))
    yield from _twice(((f"{place}.step", step.step) for place, step in steps), "step")
    for place, step in steps:
        yield from _step(place, step)
        yield from _needs(place, step, characteristics, bool(definition.netlist))
        for where, position in _placed(f"{place}.installs", step.installs):
            if position not in positions:
                yield Problem(where, f"the bom has no position {position!r}; add it there or take it out here")
    installed = [entry for place, step in steps for entry in _placed(f"{place}.installs", step.installs)]
    yield from _twice(installed, "position")
    yield from _order(definition.route)


def _step(place: str, step: Step) -> Iterator[Problem]:
    yield from _name(f"{place}.step", step.step)
    yield from _name(f"{place}.station_kind", step.station_kind)
    yield from _word(f"{place}.on_no_answer", step.on_no_answer, ON_NO_ANSWER)
    if step.min_s is not None and not (math.isfinite(step.min_s) and step.min_s >= 0):
        yield Problem(f"{place}.min_s", f"is {step.min_s}; use seconds, 0 or more")
    if step.attempts is not None and step.attempts < 1:
        yield Problem(f"{place}.attempts", f"is {step.attempts}; allow at least 1, or leave it out for no limit")
    yield from _twice(_placed(f"{place}.after", step.after), "step")
    yield from _twice(_placed(f"{place}.needs", step.needs), "need")


def _needs(place: str, step: Step, characteristics: Collection[str], has_netlist: bool) -> Iterator[Problem]:
    for where, need in _placed(f"{place}.needs", step.needs):
        if need == NETLIST and not has_netlist:
            yield Problem(where, "the product has no netlist; add netlist or netlist_file, or take it out here")
        elif need != NETLIST and need not in characteristics:
            yield Problem(where, f"no characteristic is named {need!r}; add it to characteristics or take it out here")


def _order(route: Sequence[Step]) -> Iterator[Problem]:
    """Steps that can't be put in an order: unknown predecessors, cycles, and what waits for a cycle for ever."""
    steps = {step.step: step for step in route}
    for place, step in _placed("route", route):
        for where, before in _placed(f"{place}.after", step.after):
            if before not in steps:
                yield Problem(where, f"the route has no step {before!r}; name one of its steps")
    stuck = never_ready({name: set(step.after) & steps.keys() for name, step in steps.items()})
    places = {step.step: place for place, step in _placed("route", route)}
    in_cycle: set[str] = set()
    for name in stuck:
        if name not in in_cycle and (cycle := cycle_through(name, stuck)):
            in_cycle.update(cycle)
            way = " > ".join((*cycle, cycle[0]))
            yield Problem(f"{places[name]}.after", f"the steps {way} wait for each other (>: after); take one out")
    for name in stuck:
        if name not in in_cycle:
            yield Problem(places[name], f"step {name} can never start: it waits for steps that wait for each other")


def _characteristics(characteristics: Sequence[Characteristic]) -> Iterator[Problem]:
    placed = list(_placed("characteristics", characteristics))
    for place, one in placed:
        yield from _characteristic(place, one)
    yield from _twice(((f"{place}.name", (one.name, one.position)) for place, one in placed), "characteristic")


def _characteristic(place: str, one: Characteristic) -> Iterator[Problem]:
    if not one.name.strip():
        yield Problem(f"{place}.name", "is empty; name what is measured")
    if one.name == NETLIST:
        yield Problem(f"{place}.name", f"{NETLIST!r} is the need for the netlist itself; use another name")
    if one.unit is not None and not quantities.known(one.unit):
        yield Problem(f"{place}.unit", f"{one.unit!r} is no known unit; use one such as V, mOhm, Cel, L/min, % or 1")
    if one.position is not None:
        yield from _path(f"{place}.position", one.position)
    limits = {"low": one.low, "high": one.high, "equals": one.equals}
    for field, limit in limits.items():
        if isinstance(limit, float) and not math.isfinite(limit):
            yield Problem(f"{place}.{field}", f"is {limit}; use a finite number, or leave it out for no limit")
    if one.low is not None and one.high is not None and one.low > one.high:
        yield Problem(f"{place}.low", f"{one.low:g} is above high, {one.high:g}; exchange them")
    if one.beyond_s is not None:
        yield from _watched(place, one, one.beyond_s)
    if one.equals is not None and (one.low is not None or one.high is not None):
        yield Problem(f"{place}.equals", "excludes low and high; use limits or a value to equal, not both")


def _watched(place: str, one: Characteristic, beyond_s: float) -> Iterator[Problem]:
    if not 0 <= beyond_s < math.inf:
        yield Problem(f"{place}.beyond_s", f"is {beyond_s:g}; use 0 or more seconds, or leave it out to watch nothing")
    if one.low is None and one.high is None:
        yield Problem(f"{place}.beyond_s", "needs limits to watch; give low or high")


def _netlist(netlist: Sequence[Connection]) -> Iterator[Problem]:
    placed = list(_placed("netlist", netlist))
    for place, wire in placed:
        for field, end in (("from", wire.end_a), ("to", wire.end_b)):
            if not is_endpoint(end):
                yield Problem(f"{place}.{field}", f"{end[:80]!r} is no endpoint; {ENDPOINT_RULE}")
        if wire.end_a == wire.end_b:
            yield Problem(f"{place}.to", f"{wire.end_a} is wired to itself; name two endpoints")
        if wire.ohms_max is not None and not (math.isfinite(wire.ohms_max) and wire.ohms_max > 0):
            yield Problem(f"{place}.ohms_max", f"is {wire.ohms_max}; use a finite resistance above 0 Ohm")
    pairs = ((place, tuple(sorted((wire.end_a, wire.end_b)))) for place, wire in placed)
    yield from _twice(pairs, "wire")


def _firmware(definition: Definition) -> Iterator[Problem]:
    """Firmware also sits on boards that are no positions of the bom, so any path of positions will do."""
    for place, item in _placed("firmware", definition.firmware):
        if not item.versions:
            yield Problem(f"{place}.versions", "is empty; name at least one allowed version")
        if item.position is None and item.kind is None:
            yield Problem(place, "names no position and no kind; say where this firmware is")
        if item.position is not None:
            yield from _path(f"{place}.position", item.position)
