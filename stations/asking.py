"""What a station makes of the answer to "may this step begin?", and of none.

The reference for the other side of an ask:

- **granted**: start within `valid_s` seconds (counted from the ask, so never too long), or ask again. A grant is for
  one start of that step of that unit at that station.
- **refused**: don't start. The reasons are all there are, each with a sentence for the operator.
- **no answer** in time, from a broker or MES that is down or slow: what the product definition says for the step under
  `on_no_answer`. `stop`: don't start, ask again. `go_on`: start; the MES records it with the deviation `not_asked`, and
  its rules decide what it counts for. A refusal is never turned into going on.
"""

import time
from typing import Final, Literal, NamedTuple, TypeAlias

from mes.formats.messages import StepAnswered

ASK_S: Final = 5.0
"""How long a station waits for an answer: twice as long as the MES waits for messages named in `after`, and more."""

OnNoAnswer: TypeAlias = Literal["stop", "go_on"]


class NotPermittedError(Exception):
    """A step may not begin: the MES refused it, or gave no answer. Carries the permit."""

    def __init__(self, permit: "Permit") -> None:
        super().__init__(permit.why)
        self.permit = permit


class Permit(NamedTuple):
    """Whether a step may begin. `answer` is None when none came; `until` is on the clock of `time.monotonic`."""

    go: bool
    answer: StepAnswered | None
    until: float

    @staticmethod
    def of(answer: StepAnswered | None, asked_at: float, on_no_answer: OnNoAnswer) -> "Permit":
        """What an answer to what was asked at that moment permits."""
        if answer is None:
            return Permit(on_no_answer == "go_on", None, float("inf"))
        valid_s = float("inf") if answer.valid_s is None else answer.valid_s
        return Permit(answer.granted, answer, asked_at + valid_s)

    @property
    def holds(self) -> bool:
        """Whether the step may begin now; a grant ends."""
        return self.go and time.monotonic() < self.until

    @property
    def why(self) -> str:
        """A sentence for the operator."""
        if self.answer is None:
            return "The MES gave no answer."
        if not self.answer.granted:
            return " ".join(one.text for one in self.answer.reasons) or "The MES refused it."
        return "The MES granted it." if self.holds else "The MES granted it, and the grant has ended."
