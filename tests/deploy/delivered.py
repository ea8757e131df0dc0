"""The delivered products as tests read them, and what stations report of a unit that is as it should be."""

from collections import Counter
from functools import cache
from pathlib import Path

from mes.domain.cable import SeenConnection
from mes.domain.limits import Measurement
from mes.domain.product import NETLIST, Characteristic, Definition, Step
from mes.domain.run import Criteria, Report
from mes.formats.product_document import load

DEPLOY = Path(__file__).parents[2] / "deploy"
PRODUCTS = DEPLOY / "products"
ROOT = "POD-8R-48"
RACK = "RCK-AX72-L11"


@cache
def definitions() -> tuple[Definition, ...]:
    return tuple(map(load, sorted(PRODUCTS.glob("*.yaml"))))


@cache
def newest() -> dict[str, Definition]:
    """The last revision of each part."""
    return {one.part: one for one in sorted(definitions(), key=lambda one: one.revision)}


def installed(part: str) -> Counter[str]:
    """How many serialized units of each part are somewhere inside one of a part."""
    found: Counter[str] = Counter()
    for line in newest()[part].bom:
        if newest()[line.part].tracking == "serial":
            inside = installed(line.part) + Counter([line.part])
            found.update({name: count * len(line.positions) for name, count in inside.items()})
    return found


def good_report(criteria: Criteria, step: Step) -> Report:
    """A run of a step with every value it needs within its limits and every wire where it belongs."""
    named = [(name, position) for name, position in criteria.required(step.step) if name != NETLIST]
    measured = [in_limits(criteria.by_name[name][position]) for name, position in named]
    wires = criteria.netlist.wires if criteria.netlist and criteria.needs_netlist(step.step) else ()
    ohms = {wire: wire.ohms_max / 2 if wire.ohms_max else None for wire in wires}
    seen = [SeenConnection(wire.end_a, wire.end_b, (wire.end_b,), ohms=ohms[wire]) for wire in wires]
    return Report(step.step, "pass", measured, seen)


def in_limits(one: Characteristic) -> Measurement:
    ends = [end for end in (one.low, one.high) if end is not None]
    value = one.equals if one.equals is not None else sum(ends) / len(ends)
    return Measurement(one.name, value, one.unit, position=one.position)
