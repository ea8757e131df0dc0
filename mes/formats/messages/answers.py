"""What the MES says to stations: the `data` of each type of message that goes out."""

from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from mes.domain.refusals import Reason
from mes.formats.messages.values import FreeText, Text64, Text255, Time, UnitRef, in_utc

Fate: TypeAlias = Literal["applied", "duplicate", "pending", "rejected", "dismissed"]


class WireReason(Struct, frozen=True, omit_defaults=True):
    """A reason: its stable code, a sentence a person can act on, the facts behind it."""

    code: Text64
    text: FreeText
    facts: dict[str, Any] = {}


class StepAnswered(Struct, frozen=True, omit_defaults=True):
    """The answer to the ask `asked`; a `grant` lets the step start within `valid_s` seconds."""

    asked: Text255
    granted: bool
    grant: Text255 | None = None
    valid_s: float | None = None
    reasons: tuple[WireReason, ...] = ()


class RunStop(Struct, frozen=True, omit_defaults=True):
    """A limit watched live was broken: end the run."""

    unit: UnitRef
    step: Text64
    run: Text255 | None = None
    reasons: tuple[WireReason, ...] = ()


class SettledMessage(Struct, frozen=True, omit_defaults=True):
    """What became of one message: named by its `id`, or by the `sha256` of its bytes where it had no readable id."""

    fate: Fate
    id: Text255 | None = None
    sha256: Text64 | None = None
    reasons: tuple[WireReason, ...] = ()


class MessagesSettled(Struct, frozen=True):
    """Receipts, several at once, sent after the commit that settled them."""

    settled: tuple[SettledMessage, ...]


class MessagesWanted(Struct, frozen=True, omit_defaults=True):
    """Send again what was settled from `since` on (`until`: up to then)."""

    since: Time
    until: datetime | None = None

    def __post_init__(self) -> None:
        in_utc(self, "since", "until")


def wire_reasons(reasons: tuple[Reason, ...]) -> tuple[WireReason, ...]:
    """Reasons as they travel."""
    return tuple([WireReason(one.code, one.text[:4000], one.facts) for one in reasons]) if reasons else ()
