"""One made unit's life: its steps, attempts, nonconformances and state."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.journeys.model.order import Key, moment, station_of
from tests.journeys.model.places import Stay
from tests.journeys.model.verdicts import verdict


@dataclass
class Step:
    """A step of the route. `undone`: when a part that it had tested was last taken out."""

    result: str = "waiting"
    attempts: int = 0
    failed: int = 0
    undone: datetime | None = None


@dataclass
class Attempt:
    """An attempt in progress, and what speaks against counting its pass."""

    step: str
    station: str
    run: str | None
    began: datetime
    opened: Key
    against: set[str]
    interrupted: bool = False


@dataclass
class Failure:
    """A nonconformance; `closed` None: it is open."""

    step: str
    opened: datetime
    closed: datetime | None = None


@dataclass
class Unit:
    """A unit of a product, built by stations of kinds."""

    product: dict[str, Any]
    kinds: dict[str, str]
    state: str = "created"
    steps: dict[str, Step] = field(default_factory=lambda: defaultdict(Step))
    open: list[Attempt] = field(default_factory=list)
    ended: set[tuple[str, str | None]] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.route = {step["step"]: step for step in self.product["route"]}
        self.lines = {place: line for line in self.product["bom"] for place in line["positions"]}

    def status(self, step: str) -> str:
        """A step as people see it."""
        in_progress = any(one.step == step and not one.interrupted for one in self.open)
        return "open" if in_progress else self.steps[step].result

    def happened(self, key: Key, event: dict[str, Any]) -> None:
        """One of its own events."""
        data, kind = event["data"], event["type"]
        if kind == "mes.unit.packed" and self.is_complete and self.state != "shipped":
            self.state = "packed"
        elif kind == "mes.unit.shipped" and self.is_complete:
            self.state = "shipped"
        elif kind == "mes.step.started":
            self._started(key, station_of(event), data)
        elif kind == "mes.step.completed":
            self._ended(key, station_of(event), data, data["outcome"], None)
        elif kind == "mes.run.reported" and data.get("purpose", "production") == "production":
            took = moment(data["ended_at"]) - moment(data["started_at"])
            self._ended(key, station_of(event), data, verdict(self.product, data), took)
        self._forgive(key.at)

    def changed(self, key: Key, place: str, content: list[Stay], left: list[Stay]) -> None:
        """Something else is in one of its positions."""
        if place not in self.lines:
            return
        self.filled.discard(place)
        if is_filled(self.lines[place], content):
            self.filled.add(place)
        if (any(one.serial for one in left) or (left and not content)) and self.state != "shipped":
            self._test_again(place, key.at)
        self._settle()
        self._forgive(key.at)

    @property
    def open_failures(self) -> list[Failure]:
        return [one for one in self.failures if one.closed is None]

    @property
    def is_complete(self) -> bool:
        passed = all(self.steps[name].result == "passed" for name in self.route)
        return passed and self.filled >= self.lines.keys() and not self.open_failures

    def _settle(self) -> None:
        if self.state == "shipped":
            return
        if any(self.steps[name].result == "failed" for name in self.route):
            self.state = "nonconforming"
        elif not self.is_complete:
            self.state = "in_process"
        elif self.state != "packed":
            self.state = "completed"

    def _before(self, name: str) -> set[str]:
        """All steps that come before one, however far."""
        direct = self.route.get(name, {}).get("after", [])
        return {*direct, *(far for near in direct for far in self._before(near))}

    def _wanting(self, step: str) -> set[str]:
        """What speaks against a step for as long as those before it are not done."""
        before = self._before(step)
        installs = {place for one in before for place in self.route[one].get("installs", [])}
        found = {"predecessor"} if any(self.steps[one].result != "passed" for one in before) else set()
        return found if installs <= self.filled else {*found, "empty"}

    def _forgive(self, at: datetime) -> None:
        """What came in the instant in which an attempt began was there in time."""
        for one in self.open:
            if one.opened.at == at:
                one.against -= {"predecessor", "empty"} - self._wanting(one.step)

    def _test_again(self, place: str, at: datetime) -> None:
        first = self.lines[place].get("retest_from")
        for name, rules in self.route.items():
            if first and (name == first or first in self._before(name)):
                self.steps[name].result, self.steps[name].failed = "waiting", 0
                if place not in rules.get("installs", []):
                    self.steps[name].undone = at

    def _started(self, key: Key, station: str, data: dict[str, Any]) -> None:
        known = self.ended | {(one.station, one.run) for one in self.open}
        if "run" not in data or (station, data["run"]) not in known:
            self._open(key, station, data, key.at)
            self._settle()

    def _open(self, key: Key, station: str, data: dict[str, Any], began: datetime) -> Attempt:
        step, rules = self.steps[data["step"]], self.route.get(data["step"], {})
        against = self._wanting(data["step"])
        if self.state == "shipped" or self.kinds[station] != rules.get("station_kind"):
            against.add("station")
        if step.failed >= rules.get("attempts", step.failed + 1):
            against.add("attempts")
        for one in self.open:
            one.interrupted |= one.step == data["step"] and one.began <= began
        self.open = [one for one in self.open if one.run or not one.interrupted]
        step.attempts += 1
        self.open.append(Attempt(data["step"], station, data.get("run"), began, key, against))
        return self.open[-1]

    def _ended(self, key: Key, station: str, data: dict[str, Any], outcome: str, took: timedelta | None) -> None:
        run = data.get("run")
        here = [one for one in self.open if (one.step, one.station) == (data["step"], station)]
        named = [one for one in here if run and one.run == run]
        nameless = [one for one in here if not one.interrupted and not (run and one.run)]
        attempt = next(iter([*named, *nameless]), None)
        if attempt is None:
            attempt = self._open(key, station, data, key.at - (took or timedelta()))
        self.open.remove(attempt)
        if run:
            self.ended.add((station, run))
        if attempt.step in self.route and self.state != "shipped":
            self._moved(attempt, outcome, key.at, key.at - attempt.began if took is None else took)
        self._settle()

    def _moved(self, attempt: Attempt, outcome: str, at: datetime, took: timedelta) -> None:
        step, rules = self.steps[attempt.step], self.route[attempt.step]
        if outcome == "fail":
            step.result, step.failed = "failed", step.failed + 1
            self.failures.append(Failure(attempt.step, at))
        is_undone = step.undone is not None and attempt.began < step.undone
        is_early = took < timedelta(seconds=rules.get("min_s", 0))
        is_empty = not self.filled >= set(rules.get("installs", []))
        if outcome == "pass" and not (attempt.against or is_undone or is_early or is_empty):
            step.result = "passed"
            for one in self.open_failures:
                one.closed = at if one.step == attempt.step else None


def is_filled(line: dict[str, Any], content: list[Stay]) -> bool:
    """Whether what is in a position is approved and enough; a lot of unknown quantity is taken to be enough."""
    approved = {line["part"], *line.get("alternates", [])}
    known = [one.quantity for one in content if not one.serial and one.quantity is not None]
    amount = sum(known) + sum(1 for one in content if one.serial)
    is_enough = amount >= line.get("quantity", 1) or any(not one.serial and one.quantity is None for one in content)
    return bool(content) and is_enough and all(one.part in approved for one in content)
