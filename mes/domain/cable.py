"""A cable against its netlist: what each wire was found to be, and the fault's name where it differs.

A netlist is a set of undirected wires; endpoints joined by wires are one *net* (a splice has more than two ends). A
tester probes an endpoint and reports every endpoint that it reaches, with or without the endpoint it expected. Both
pairwise testers (one report per wire) and net testers (one report per net) are understood. Everything here is linear
in wires and reports: a pod has ten thousand of them.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from mes.domain import quantities
from mes.domain.product import Connection

OK, OPEN, SHORT, SWAPPED, MISWIRE = "ok", "open", "short", "swapped", "miswire"
MISSING, EXTRA, RESISTANCE = "missing", "extra", "resistance"
WRONG_LENGTH, WRONG_TYPE = "wrong_length", "wrong_type"
KINDS = (OK, OPEN, SHORT, SWAPPED, MISWIRE, MISSING, EXTRA, RESISTANCE, WRONG_LENGTH, WRONG_TYPE)
"""Verdicts of a connection. MISSING was not tested and is the station's fault; the others are the cable's."""

_NAMED_MAX = 12  # endpoints that one sentence names before it says how many more there are


class SeenConnection(NamedTuple):
    """One probe: from an endpoint, the endpoint expected (None: not said), all that were reached, and what was read."""

    end: str
    expected: str | None
    seen: tuple[str, ...]
    ohms: float | None = None
    length: str | None = None
    type: str | None = None


class ConnectionVerdict(NamedTuple):
    """What became of one wire of the netlist, or of a connection that the netlist does not have (extra)."""

    kind: str
    endpoints: tuple[str, ...]
    text: str
    ohms: float | None = None
    ohms_max: float | None = None


class Netlist:
    """A netlist made ready to compare with: who is wired to whom, and which net each endpoint is on."""

    __slots__ = ("neighbours", "nets", "wires")

    def __init__(self, wires: Iterable[Connection]) -> None:
        self.wires = tuple(wires)
        self.neighbours: dict[str, list[str]] = defaultdict(list)
        self.nets = _Groups()
        for wire in self.wires:
            self.neighbours[wire.end_a].append(wire.end_b)
            self.neighbours[wire.end_b].append(wire.end_a)
            self.nets.join(wire.end_a, wire.end_b)
        self.neighbours.default_factory = None  # from here on, asking for an unknown endpoint is a mistake

    def has(self, end_a: str, end_b: str) -> bool:
        """Whether a wire joins two endpoints."""
        return end_b in self.neighbours.get(end_a, ())

    def compare(
        self, reports: Sequence[SeenConnection], *, resistance_required: bool = False
    ) -> tuple[ConnectionVerdict, ...]:
        """One verdict per wire, in the netlist's order, then one per extra connection.

        With `resistance_required`, a wire with an `ohms_max` and no finite resistance is missing (not tested).
        """
        seen = _Observation(self, reports)
        swaps = _exchanges(self, seen)
        wires = tuple(_verdict(self, seen, swaps, wire, resistance_required) for wire in self.wires)
        return wires + tuple(seen.extras(self))


class _Groups:
    """Endpoints joined into groups, by union-find."""

    __slots__ = ("_parents",)

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, end: str) -> str:
        """The endpoint that stands for the group of `end`; an endpoint never joined is a group of its own."""
        parents, root = self._parents, end
        while (above := parents.get(root, root)) != root:
            root = above
        while end != root:
            parents[end], end = root, parents.get(end, root)
        return root

    def join(self, end_a: str, end_b: str) -> None:
        """Make two endpoints one group."""
        self._parents[self.of(end_a)] = self.of(end_b)


class _Observation:
    """Everything a tester said, with probes from both ends of a wire made one undirected picture."""

    def __init__(self, netlist: Netlist, reports: Sequence[SeenConnection]) -> None:
        self.reached: dict[str, dict[str, None]] = defaultdict(dict)  # ordered sets
        self.groups = _Groups()
        self.refuted: set[frozenset[str]] = set()
        self.tested: set[frozenset[str]] = set()
        self.readings: dict[frozenset[str], list[SeenConnection]] = defaultdict(list)
        for report in reports:
            self._note(netlist, report)
        self.shorted = self._shorted(netlist)

    def _note(self, netlist: Netlist, report: SeenConnection) -> None:
        end, seen = report.end, set(report.seen)
        for other in report.seen:
            if other != end:
                self.reached[end][other] = None
                self.reached[other][end] = None
                self.groups.join(end, other)
        neighbours = netlist.neighbours.get(end, ())
        expected = report.expected
        meant = [expected] if expected is not None and expected in neighbours else neighbours
        for neighbour in meant:
            wire = frozenset((end, neighbour))
            self.tested.add(wire)
            if neighbour in seen:
                self.readings[wire].append(report)
            elif self.refutes(netlist, report, neighbour):
                self.refuted.add(wire)

    @staticmethod
    def refutes(netlist: Netlist, report: SeenConnection, neighbour: str) -> bool:
        """Whether a probe shows a wire open: it looked at this one wire, or its endpoint has no other."""
        return report.expected == neighbour or len(netlist.neighbours[report.end]) == 1

    def _shorted(self, netlist: Netlist) -> dict[str, tuple[str, ...]]:
        """Per observed group that joins several nets: one endpoint of each of some of those nets."""
        nets: dict[str, dict[str, str]] = defaultdict(dict)
        for end in netlist.neighbours:
            nets[self.groups.of(end)].setdefault(netlist.nets.of(end), end)
        return {group: tuple(islice(ends.values(), _NAMED_MAX)) for group, ends in nets.items() if len(ends) > 1}

    def connected(self, wire: Connection) -> bool:
        """Whether current was seen to pass between a wire's ends, and no probe denied it."""
        ends = frozenset((wire.end_a, wire.end_b))
        return ends not in self.refuted and self.groups.of(wire.end_a) == self.groups.of(wire.end_b)

    def extras(self, netlist: Netlist) -> Iterable[ConnectionVerdict]:
        """Connections with an endpoint that the netlist does not have, each once."""
        told: set[frozenset[str]] = set()
        for end, others in self.reached.items():
            for other in others:
                pair = frozenset((end, other))
                if pair not in told and not (end in netlist.neighbours and other in netlist.neighbours):
                    told.add(pair)
                    yield ConnectionVerdict(
                        EXTRA, (end, other), f"{end} reaches {other}, which the netlist does not have"
                    )


def _exchanges(netlist: Netlist, seen: _Observation) -> dict[str, ConnectionVerdict | None]:
    """The verdict of each endpoint whose wire's ends were exchanged in a closed round; None for others looked at."""
    verdicts: dict[str, ConnectionVerdict | None] = {}
    for wire in netlist.wires:
        if wire.end_a not in verdicts and not seen.connected(wire):
            walked, closed = _walk(netlist, seen, wire.end_a, verdicts)
            verdicts.update(dict.fromkeys(walked, _exchange(walked) if closed else None))
    return verdicts


def _walk(netlist: Netlist, seen: _Observation, start: str, before: Container[str]) -> tuple[tuple[str, ...], bool]:
    """The endpoints from one on, by turns along a wire as drawn and as found, and whether the walk came round.

    A1 drawn to B1, B1 found at A2, A2 drawn to B2, B2 found at A1 is (A1, B1, A2, B2). A walk that does not close ends
    in an open, a splice or a short; nothing on it is in a closed round, so it need not be walked again.
    """
    walked: list[str] = []
    end = start
    while len(netlist.neighbours.get(end, ())) == 1 and len(seen.reached.get(end, ())) == 1:
        partner = netlist.neighbours[end][0]
        walked += (end, partner)
        found = seen.reached.get(partner, {})
        if len(found) != 1:
            break
        end = next(iter(found))
        if end == start:
            return tuple(walked), len(walked) > 2
        if end in before:
            break
    return tuple(walked) or (start,), False


def _exchange(cycle: tuple[str, ...]) -> ConnectionVerdict:
    """The verdict of two wires (swapped) or more (rotated: a miswire) whose ends were exchanged."""
    if len(cycle) == 4:
        first, partner, second, other = cycle  # drawn first-partner and second-other, found as in the text
        text = f"{partner} and {other} are swapped: {first} reaches {other}, {second} reaches {partner}"
        return ConnectionVerdict(SWAPPED, cycle, text)
    ends, partners = cycle[::2], cycle[1::2]
    rows = zip(ends, partners[-1:] + partners[:-1], partners, strict=True)
    moves = [f"{end} reaches {found} instead of {drawn}" for end, found, drawn in islice(rows, _NAMED_MAX)]
    more = f", and {len(ends) - len(moves)} more" if len(ends) > len(moves) else ""
    return ConnectionVerdict(MISWIRE, cycle, f"{len(ends)} wires are rotated: {', '.join(moves)}{more}")


def _verdict(
    netlist: Netlist,
    seen: _Observation,
    exchanges: dict[str, ConnectionVerdict | None],
    wire: Connection,
    resistance_required: bool,
) -> ConnectionVerdict:
    if not seen.connected(wire):
        return exchanges.get(wire.end_a) or _apart(netlist, seen, wire)
    joined = seen.shorted.get(seen.groups.of(wire.end_a))
    if joined and (others := [end for end in joined if netlist.nets.of(end) != netlist.nets.of(wire.end_a)]):
        text = f"{_wire(wire)} is shorted to {_names(others)}"
        return ConnectionVerdict(SHORT, (wire.end_a, wire.end_b, *others), text)
    return _measured(seen.readings.get(frozenset((wire.end_a, wire.end_b)), ()), wire, resistance_required)


def _apart(netlist: Netlist, seen: _Observation, wire: Connection) -> ConnectionVerdict:
    """A wire whose ends do not reach each other and were not simply exchanged with others."""
    ends = (wire.end_a, wire.end_b)
    if frozenset(ends) not in seen.tested:
        return ConnectionVerdict(MISSING, ends, f"{_wire(wire)} was not tested")
    net = netlist.nets.of(wire.end_a)
    for end, partner in (ends, ends[::-1]):
        if others := [other for other in seen.reached.get(end, ()) if netlist.nets.of(other) != net]:
            text = f"{end} reaches {_names(others)} instead of {partner}"
            return ConnectionVerdict(MISWIRE, (end, partner, *others[:_NAMED_MAX]), text)
    return ConnectionVerdict(OPEN, ends, f"{_wire(wire)} is open: {wire.end_a} does not reach {wire.end_b}")


def _measured(readings: Sequence[SeenConnection], wire: Connection, resistance_required: bool) -> ConnectionVerdict:
    """A wire that connects what it should: its resistance, length and type."""
    ends = (wire.end_a, wire.end_b)
    ohms = max((one.ohms for one in readings if one.ohms is not None and math.isfinite(one.ohms)), default=None)
    limit = wire.ohms_max
    if limit is not None:
        if ohms is not None and ohms > limit:
            text = f"{_wire(wire)} has {ohms:g} Ohm, more than {limit:g} Ohm"
            return ConnectionVerdict(RESISTANCE, ends, text, ohms, limit)
        if ohms is None and resistance_required:
            return ConnectionVerdict(MISSING, ends, f"{_wire(wire)} has no finite resistance reading", None, limit)
    for reading in readings:
        if wire.length and reading.length and not same_length(wire.length, reading.length):
            text = f"{_wire(wire)} is {reading.length} long instead of {wire.length}"
            return ConnectionVerdict(WRONG_LENGTH, ends, text, ohms, limit)
        if wire.type and reading.type and wire.type != reading.type:
            text = f"{_wire(wire)} is of type {reading.type} instead of {wire.type}"
            return ConnectionVerdict(WRONG_TYPE, ends, text, ohms, limit)
    return ConnectionVerdict(OK, ends, f"{_wire(wire)} is connected", ohms, limit)


def same_length(one: str, other: str) -> bool:
    """Whether two lengths as printed are the same: `2 m` is `2.0m` is `2000 mm`; other texts must be equal."""
    metres = _metres(one)
    return one.strip() == other.strip() or (metres is not None and metres == _metres(other))


def _metres(text: str) -> float | None:
    digits = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzµμ \t")
    try:
        return quantities.convert(float(digits), text.strip()[len(digits) :].strip(), "m")
    except ValueError:
        return None


def _wire(wire: Connection) -> str:
    return f"{wire.end_a} - {wire.end_b}"


def _names(ends: Iterable[str]) -> str:
    """Some endpoints in a sentence, and how many more there are."""
    ends = tuple(ends)
    more = f" and {len(ends) - _NAMED_MAX} more" if len(ends) > _NAMED_MAX else ""
    return ", ".join(ends[:_NAMED_MAX]) + more
