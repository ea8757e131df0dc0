"""A run: one attempt of one step as a station reported it, and the MES's judgement of it.

The station's outcome is a claim; the verdict is ours. In this order: a claim of error, aborted or skipped stays so,
its values kept but not judged · *fail* if the claim is fail, the station calls a measurement failed, a limit is
broken, or a connection differs from the netlist · *error* if something required is missing, not finite or in a unit
that does not convert exactly, or values came that nobody can read: the program's fault · else *pass*. So a broken
limit wins over a missing characteristic.

A characteristic is judged on whatever step it is measured, needed there or not. A step requires what its `needs`
name; the reserved need `netlist` requires every wire tested, with its resistance where the netlist limits that. A run
that reports connections at all is compared with the whole netlist: wires it left out were not tested. What a verdict
changes on a unit's route is decided elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mes.domain import cable
from mes.domain.cable import ConnectionVerdict, Netlist, SeenConnection
from mes.domain.facts import ABORTED, ERROR, FAIL, INTERRUPTED, PASS, SKIPPED
from mes.domain.limit_sheets import LimitSheet, Shape, lay_out, shape_of
from mes.domain.limits import UNSET, Finding, Reported, broken, called, judge_measurement
from mes.domain.measured import Measured
from mes.domain.product import NETLIST, Characteristic, Definition, Step
from mes.domain.refusals import Reason, reason
from mes.domain.watch import watched

CLAIMS = (PASS, FAIL, ERROR, ABORTED, SKIPPED)
NOT_JUDGED = frozenset((ERROR, ABORTED, SKIPPED, INTERRUPTED))
"""Claims that stay as they are: no product was tested to its end, so its values are kept but prove nothing."""

REASONS_MAX = 100  # a pod with every wire wrong gives its first hundred; the connections' verdicts are all there
_NAMES_MAX = 20
_SHEETS_MAX = 500
"""Most shapes of runs that are remembered for one definition."""


class Defect(NamedTuple):
    """A defect that a station or an inspector reported, perhaps on the child at a position."""

    code: str
    position: str | None = None
    text: str | None = None


class Report(NamedTuple):
    """What a run reported, as far as its judgement needs it.

    `doubts` say why a claim of pass can't be believed, `known_as` by which name measurements are judged that had to be
    renamed, for another has their name: a value that is measured twice is judged twice.
    """

    step: str
    claim: str
    measurements: Sequence[Reported] = ()
    connections: Sequence[SeenConnection] = ()
    defects: tuple[Defect, ...] = ()
    doubts: tuple[Reason, ...] = ()
    known_as: Mapping[str, str] = MappingProxyType({})


class Judgement(NamedTuple):
    """The MES's verdict on a run and everything it rests on.

    `measured` stands in the order of the report's measurements; `connections` in that of the netlist, extras last.
    `reasons` say why a run did not pass; `deviations` are worth a look but decide nothing.
    """

    verdict: str
    measured: Measured
    connections: tuple[ConnectionVerdict, ...]
    reasons: tuple[Reason, ...]
    deviations: tuple[Reason, ...]


class Criteria:
    """A definition made ready to judge by: its characteristics by name and position, its netlist indexed.

    Build it once per definition and keep it; judging then touches only what a run reported. Without a definition
    (None) nothing is known of the product and the station's claim decides.
    """

    __slots__ = ("_newest", "_required", "_sheets", "by_name", "definition", "netlist", "watched")

    def __init__(self, definition: Definition | None) -> None:
        self.definition = definition
        self.by_name: dict[str, dict[str | None, Characteristic]] = {}
        for characteristic in definition.characteristics if definition else ():
            self.by_name.setdefault(characteristic.name, {})[characteristic.position] = characteristic
        self.netlist = Netlist(definition.netlist) if definition and definition.netlist else None
        telemetry = [one for one in definition.characteristics if one.beyond_s is not None] if definition else []
        self.watched = watched(telemetry) if telemetry else None
        steps = definition.route if definition else ()
        self._required = {step.step: tuple(self._requirements(step)) for step in steps}
        self._sheets: dict[tuple[str, Shape], LimitSheet | None] = {}
        self._newest: dict[str, tuple[Shape, LimitSheet | None]] = {}

    def _requirements(self, step: Step) -> Iterator[tuple[str, str | None]]:
        for need in step.needs:
            for position in self.by_name.get(need, (None,)):
                yield need, position

    def required(self, step: str) -> tuple[tuple[str, str | None], ...]:
        """What a step must report: (name, position) of characteristics, and (`netlist`, None)."""
        return self._required.get(step, ())

    def needs_netlist(self, step: str) -> bool:
        """Whether a step must test the whole netlist."""
        return (NETLIST, None) in self.required(step)

    def characteristic(self, measurement: Reported, known_as: str | None = None) -> Characteristic | None:
        """What a measurement is judged by: the characteristic of its name at its position, or at any position.

        One that has no such name is looked for by what it is `known_as`.
        """
        named = self.by_name.get(measurement.name) or (self.by_name.get(known_as) if known_as else None)
        return (named.get(measurement.position) or named.get(None)) if named else None

    def sheet(self, report: Report) -> LimitSheet | None:
        """The limits for runs shaped like this one; None where measurements have to be judged one by one."""
        shape = shape_of(report.measurements)
        newest = self._newest.get(report.step)
        if newest and newest[0] == shape:  # as nearly every run is; to look its shape up takes twice the time
            return newest[1]
        key = (report.step, shape)
        if key not in self._sheets:
            if len(self._sheets) >= _SHEETS_MAX:
                self._sheets.clear()
                self._newest.clear()
            self._sheets[key] = lay_out(report.measurements, self.characteristic, self.required(report.step))
        self._newest[report.step] = shape, self._sheets[key]
        return self._sheets[key]


def judge(criteria: Criteria, report: Report) -> Judgement:
    """The verdict on a run by its unit's definition."""
    is_plain = report.claim == PASS and not (report.connections or report.defects or report.doubts or report.known_as)
    if is_plain and (clean := _clean(criteria, report)):
        return clean
    findings = [
        judge_measurement(measured, criteria.characteristic(measured, report.known_as.get(measured.name)))
        for measured in report.measurements
    ]
    if report.claim in NOT_JUDGED:
        kept = Measured.of(findings)
        return Judgement(report.claim, kept.without_verdicts(UNSET), (), (_kept(report.claim),), ())
    connections = _compare(criteria, report)
    fails = list(_fails(report, findings, connections))
    faults = list(_faults(criteria, report, findings, connections))
    verdict = FAIL if fails else ERROR if faults else PASS
    reasons, deviations = (fails + faults)[:REASONS_MAX], tuple(_deviations(criteria, report, findings))
    return Judgement(verdict, Measured.of(findings), connections, tuple(reasons), deviations)


def _clean(criteria: Criteria, report: Report) -> Judgement | None:
    """The judgement of a run in which everything is as it should be: of nearly every run there is."""
    sheet = criteria.sheet(report)
    measured = sheet.passes(report.measurements) if sheet else None
    return Judgement(PASS, measured, (), (), ()) if measured is not None else None


def _kept(claim: str) -> Reason:
    return reason(
        "claim_kept", f"The station ended the run with {claim}; its values are kept, not judged.", claim=claim
    )


def _compare(criteria: Criteria, report: Report) -> tuple[ConnectionVerdict, ...]:
    if criteria.netlist is None or not report.connections:
        return ()
    needed = criteria.needs_netlist(report.step)
    return criteria.netlist.compare(report.connections, resistance_required=needed)


def _fails(report: Report, findings: Sequence[Finding], connections: Sequence[ConnectionVerdict]) -> Iterator[Reason]:
    """Why the product failed."""
    if report.claim == FAIL:
        yield reason("claim_failed")
    for judged, _, _ in findings:
        if judged.verdict == FAIL:
            yield broken(judged)
        elif judged.reported.outcome == FAIL:
            text = f"The station says that {judged.called} failed."
            yield reason("measurement_claimed_failed", text, measurement=judged.called)
    told: set[str] = set()
    for connection in connections:
        if connection.kind not in (cable.OK, cable.MISSING) and connection.text not in told:
            told.add(connection.text)  # an exchange of ends is one finding, repeated on each of its wires
            facts = {"kind": connection.kind, "endpoints": list(connection.endpoints[:_NAMES_MAX])}
            yield reason("connection_differs", f"{connection.text}.", **facts)


def _faults(
    criteria: Criteria, report: Report, findings: Sequence[Finding], connections: Sequence[ConnectionVerdict]
) -> Iterator[Reason]:
    """Why the program can't be believed: what it had to report and did not, or not so that it can be judged."""
    yield from report.doubts
    yield from _unmet(criteria.required(report.step), findings)
    if criteria.needs_netlist(report.step) and not report.connections:
        yield reason("connection_not_tested", "The step tests the netlist; the run reports no connections.")
    for connection in connections:
        if connection.kind == cable.MISSING:
            yield reason("connection_not_tested", f"{connection.text}.", endpoints=list(connection.endpoints))


def _unmet(required: Sequence[tuple[str, str | None]], findings: Sequence[Finding]) -> Iterator[Reason]:
    met: set[tuple[str, str | None]] = set()
    for judged, by, fault in findings:
        if by and judged.reported.value is not None:
            met.add((by.name, by.position))
            if fault and (by.name, by.position) in required:
                yield fault
    for name, position in required:
        if (name, position) not in met and name != NETLIST:
            text = f"The step needs {called(name, position)}; the run has no value for it."
            yield reason("characteristic_missing", text, measurement=called(name, position))


def _deviations(criteria: Criteria, report: Report, findings: Sequence[Finding]) -> Iterator[Reason]:
    """What decides nothing but should be looked at."""
    unknown = dict.fromkeys(judged.called for judged, by, _ in findings if by is None)
    if unknown and criteria.definition:
        names = list(unknown)[:_NAMES_MAX]
        text = f"The product definition does not name {', '.join(names)}."
        yield reason("unknown_characteristic", text, measurements=names, count=len(unknown))
    required = criteria.required(report.step)
    for _, by, fault in findings:
        if by and fault and (by.name, by.position) not in required:
            yield fault
    if report.defects and report.claim == PASS:
        codes = list(dict.fromkeys(defect.code for defect in report.defects))[:_NAMES_MAX]
        yield reason("defects_claimed_pass", f"The station claims pass and reports {', '.join(codes)}.", defects=codes)
