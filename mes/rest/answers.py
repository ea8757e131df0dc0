"""What became of facts, as REST answers it."""

from dataclasses import dataclass
from typing import Any

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


def fact_answer(settled: Settled) -> FactAnswer:
    """A fate as its answer."""
    is_id = settled.keyed_by == "id"
    return FactAnswer(
        settled.key if is_id else None,
        None if is_id else settled.key,
        settled.fate,
        [one._asdict() for one in settled.reasons],
    )
