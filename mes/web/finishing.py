"""Ending a step at a bench: with a word where it measures nothing, as a run with its values where it needs some.

What would not count as a pass is not sent as one: the person is told what is missing while it can still be mended.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from mes.domain.gates import reasons_against_counting
from mes.domain.product import NETLIST, Characteristic, Definition, Step
from mes.domain.progress import PASSED, OpenAttempt
from mes.domain.route import route_of
from mes.domain.run import Criteria
from mes.formats.messages import ReportedMeasurement, RunReported, StepCompleted, UnitRef
from mes.queries.bench import UnitOnBench, unit_on_bench
from mes.web.scanning import BAD, GOOD, INFO, WAIT, Told, Where, say, told_in_words, told_of

_NUMBER: Final = re.compile(r"[+-]?\d{1,15}([.,]\d{1,12})?([eE][+-]?\d{1,3})?")
YES, NO = "yes", "no"


class Wanted(NamedTuple):
    """A value that the step needs, as a form asks for it. `kind`: number, choice (yes or no) or text."""

    field: str
    name: str
    position: str | None
    unit: str | None
    low: float | None
    high: float | None
    kind: str

    @property
    def limits(self) -> str:
        """Its limits in words."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""


def wanted(definition: Definition, step: Step) -> list[Wanted]:
    """The values that a person has to give to end a step."""
    criteria = Criteria(definition)
    named = [(name, position) for name, position in criteria.required(step.step) if name != NETLIST]
    return [_wanted(index, criteria.by_name[name][position]) for index, (name, position) in enumerate(named)]


def _wanted(index: int, one: Characteristic) -> Wanted:
    low, high = one.low, one.high
    kind = "number"
    if isinstance(one.equals, bool):
        kind = "choice"
    elif isinstance(one.equals, str):
        kind = "text"
    elif one.equals is not None:
        low = high = one.equals
    return Wanted(f"value-{index}", one.name, one.position, one.unit, low, high, kind)


async def finish(where: Where, unit: UnitOnBench, outcome: str, given: Mapping[str, str]) -> Told:
    """End the step in progress here: pass, fail or aborted. A pass that could not count is not sent."""
    mine = [one for one in unit.progress.open if one.station == where.station.name and not one.interrupted]
    step = unit.definition.step(mine[0].step) if mine and unit.definition else None
    if step is None or unit.definition is None:
        return Told(INFO, "No step is in progress here")
    if outcome != "pass":
        return await _given_up(where, unit, mine[0], outcome)
    if NETLIST in step.needs:
        return Told(BAD, "Not finished", "This step tests wires: a cable tester has to report it.")
    if against := _against(where, unit, mine[0]):
        return Told(BAD, "Not finished", against)
    values, missing = _values(unit.definition, step, given)
    if missing:
        return Told(BAD, "Not finished", f"Give a value for {', '.join(missing)}.")
    return await _finished(where, unit, mine[0], values)


def _against(where: Where, unit: UnitOnBench, attempt: OpenAttempt) -> str:
    """Why the pass would not count, in words; nothing if it would."""
    signed = replace(attempt, has_operator=True)  # who finishes is logged in
    took_s = (where.at - attempt.started_at).total_seconds()
    return told_in_words(reasons_against_counting(unit.progress, route_of(unit.definition), signed, took_s))


def _values(
    definition: Definition, step: Step, given: Mapping[str, str]
) -> tuple[list[ReportedMeasurement], list[str]]:
    """The values that were given, and the names of those that are missing or can't be read."""
    values, missing = [], []
    for one in wanted(definition, step):
        value = _value(one.kind, given.get(one.field, "").strip())
        if value is None:
            missing.append(f"{one.name} ({one.position})" if one.position else one.name)
        else:
            values.append(ReportedMeasurement(one.name, value, one.unit, position=one.position))
    return values, missing


def _value(kind: str, text: str) -> Any:
    if kind == "choice":
        return {YES: True, NO: False}.get(text)
    if kind == "text":
        return text[:1000] or None
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


async def _finished(where: Where, unit: UnitOnBench, attempt: OpenAttempt, values: list[ReportedMeasurement]) -> Told:
    ref = UnitRef(unit.serial, unit.part)
    if values:
        said: Any = RunReported(
            ref,
            attempt.step,
            attempt.started_at,
            where.at,
            "pass",
            attempt.run,
            operator=where.operator,
            measurements=tuple(values),
        )
    else:
        said = StepCompleted(ref, attempt.step, where.at, "pass", attempt.run, where.operator)
    settled = await say(where, said)
    async with where.database.reading() as connection:
        now = await unit_on_bench(connection, unit.id)
    if settled.fate == "applied" and now.progress.result(attempt.step) != PASSED:
        odd = told_in_words(settled.reasons)
        return Told(BAD, f"{attempt.step} did not pass", odd or "A value is outside its limits. See the unit's page.")
    return told_of(settled, f"{attempt.step} passed", "", GOOD)


async def _given_up(where: Where, unit: UnitOnBench, attempt: OpenAttempt, outcome: str) -> Told:
    ref = UnitRef(unit.serial, unit.part)
    is_fail = outcome == "fail"
    claim: Any = "fail" if is_fail else "aborted"
    settled = await say(where, StepCompleted(ref, attempt.step, where.at, claim, attempt.run, where.operator))
    title = f"{attempt.step} failed" if is_fail else f"{attempt.step} stopped"
    text = "The unit is nonconforming now." if is_fail else "It can be started again."
    return told_of(settled, title, text, BAD if is_fail else WAIT)
