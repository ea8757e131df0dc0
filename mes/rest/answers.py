"""What became of facts, as REST answers it."""

from dataclasses import dataclass
from typing import Any

from mes.commands.asking import Answer
from mes.commands.ingest import Settled


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """What became of one fact: named by its `id`, or by the `sha256` of its bytes where it had no readable id.

    `reasons` of an applied fact are deviations: what was odd about it.
    """

    id: str | None
    sha256: str | None
    fate: str
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AskAnswer:
    """The answer to the ask of the id `asked`; a `grant` lets the step start within `valid_s` seconds."""

    asked: str
    granted: bool
    grant: str | None
    valid_s: float | None
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SettledAnswer:
    """What became of each fact, and the answer to each ask, both in the order of the request."""

    settled: list[FactAnswer]
    answers: list[AskAnswer]


def ask_answer(answer: Answer) -> AskAnswer:
    """A decision on an ask as its answer."""
    reasons = [one._asdict() for one in answer.reasons]
    return AskAnswer(answer.asked, answer.granted, answer.grant, answer.valid_s, reasons)


def fact_answer(settled: Settled) -> FactAnswer:
    """A fate as its answer."""
    is_id = settled.keyed_by == "id"
    return FactAnswer(
        settled.key if is_id else None,
        None if is_id else settled.key,
        settled.fate,
        [one._asdict() for one in settled.reasons],
    )
