"""A route as a graph: what comes before a step, what is done again after it, and what is next.

`route_of` works these answers out once per definition and keeps them: every fact about a unit asks for some of them.
"""

from collections.abc import Collection, Iterable, Mapping

from mes.domain.product import BomLine, Definition, Step

_KEPT_ROUTES = 4096
_routes: dict[int, "Route"] = {}


class Route:
    """The route and positions of one definition. `None` stands for a bought part that has neither.

    Built from a checked definition; a circle in `after` is not followed twice, so that even an unchecked one ends.
    """

    __slots__ = ("before", "definition", "installs_before", "lines", "onward", "positions", "retest_from", "steps")

    def __init__(self, definition: Definition | None) -> None:
        steps = definition.route if definition else ()
        self.definition = definition
        self.steps: Mapping[str, Step] = {step.step: step for step in in_working_order(steps)}
        self.before: Mapping[str, tuple[str, ...]] = {name: self._before(name) for name in self.steps}
        self.onward: Mapping[str, tuple[str, ...]] = {name: self._onward(name) for name in self.steps}
        self.installs_before: Mapping[str, tuple[str, ...]] = {name: self._installs(name) for name in self.steps}
        self.lines: Mapping[str, BomLine] = {
            position: line for line in (definition.bom if definition else ()) for position in line.positions
        }
        self.positions: frozenset[str] = frozenset(self.lines)
        self.retest_from: Mapping[str, str] = {
            position: line.retest_from for position, line in self.lines.items() if line.retest_from
        }

    @property
    def is_bought_as_is(self) -> bool:
        """Whether the unit comes as it is: nothing is done to it here that could be done wrong."""
        return self.definition is None or (self.definition.source == "bought" and not self.steps)

    def next(self, passed: Collection[str]) -> tuple[str, ...]:
        """The steps that may start now, in working order, given those that have passed."""
        return tuple(
            name
            for name in self.steps
            if name not in passed and all(earlier in passed for earlier in self.before[name])
        )

    def _before(self, name: str) -> tuple[str, ...]:
        """All steps that must have passed before this one, however far back, in working order."""
        found: set[str] = set()
        ahead = list(self.steps[name].after)
        while ahead:
            earlier = ahead.pop()
            if earlier in self.steps and earlier not in found:
                found.add(earlier)
                ahead.extend(self.steps[earlier].after)
        return tuple(step for step in self.steps if step in found and step != name)

    def _onward(self, name: str) -> tuple[str, ...]:
        """The step and all that come after it, in working order: what is done again when it is."""
        return tuple(step for step in self.steps if step == name or name in self.before[step])

    def _installs(self, name: str) -> tuple[str, ...]:
        """The positions that must be filled before this step starts: what all earlier steps install."""
        return tuple(
            dict.fromkeys(position for earlier in self.before[name] for position in self.steps[earlier].installs)
        )


def in_working_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps so that each comes after its predecessors, otherwise in the document's order."""
    waiting = {step.step: step for step in steps}
    ordered: list[Step] = []
    while waiting:
        ready = next((step for step in waiting.values() if not any(name in waiting for name in step.after)), None)
        ordered.append(waiting.pop(ready.step if ready else next(iter(waiting))))
    return tuple(ordered)


NO_ROUTE = Route(None)


def route_of(definition: Definition | None) -> Route:
    """The definition's route, built on first use.

    Kept by identity, not by value: hashing a whole bill of materials for each fact costs more than the fact. The
    route holds its definition, so the id of a kept one is never used again.
    """
    if definition is None:
        return NO_ROUTE
    route = _routes.get(id(definition))
    if route is None:
        if len(_routes) >= _KEPT_ROUTES:
            _routes.clear()
        route = _routes[id(definition)] = Route(definition)
    return route
