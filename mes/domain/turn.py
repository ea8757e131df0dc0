"""One event being folded onto one unit: what the rules look at, and where they put what they find."""

from collections.abc import Sequence
from datetime import datetime

from mes.domain.facts import Key
from mes.domain.gates import has_failed, is_complete, reasons_against_leaving
from mes.domain.hold import Hold
from mes.domain.nonconformance import FAILED_STEP, Nonconformance, Settlement, id_from
from mes.domain.progress import FAILED, Attempt, Progress, State
from mes.domain.refusals import Reason
from mes.domain.route import Route


class Turn:
    """The unit's progress, changed in place, and what the event did besides."""

    __slots__ = (
        "asked",
        "attempts",
        "deviations",
        "holds",
        "key",
        "opened",
        "order_closed_at",
        "progress",
        "route",
        "settled",
    )

    def __init__(
        self, progress: Progress, route: Route, key: Key, holds: Sequence[Hold], order_closed_at: datetime | None
    ) -> None:
        self.progress = progress
        self.route = route
        self.key = key
        self.holds = holds
        self.order_closed_at = order_closed_at
        self.asked: list[Key] = []
        """Starts that turned out to have been asked for."""
        self.attempts: list[Attempt] = []
        self.deviations: list[Reason] = []
        self.opened: list[Nonconformance] = []
        self.settled: list[Settlement] = []

    def settle(self) -> None:
        """Work out the state from the steps, positions and nonconformances, now that one of them changed."""
        progress, route = self.progress, self.route
        if progress.is_closed or route.is_bought_as_is:
            return
        if has_failed(progress, route):
            progress.state = State.NONCONFORMING
        elif not is_complete(progress, route):
            progress.state = State.IN_PROCESS
        elif progress.state is not State.PACKED:
            progress.state = State.COMPLETED
        if progress.state is not State.PACKED:
            progress.packed_at = progress.packed_into = None

    def against_leaving(self) -> tuple[Reason, ...]:
        return reasons_against_leaving(self.progress, self.route.definition, self.key.at, self.holds)

    def fail(self, name: str) -> None:
        """A step failed: the unit is nonconforming until that is settled."""
        step = self.progress.step(name)
        step.result = FAILED
        step.failed += 1
        self.open_nonconformance(Nonconformance(id_from(self.key), FAILED_STEP, name, self.key))

    def open_nonconformance(self, nonconformance: Nonconformance) -> None:
        self.progress.nonconformances[nonconformance.id] = nonconformance.step or ""
        self.opened.append(nonconformance)

    def close_nonconformance(self, id: str, how: str) -> None:
        del self.progress.nonconformances[id]
        self.settled.append(Settlement(id, how, self.key))
