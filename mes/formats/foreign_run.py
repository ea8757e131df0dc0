"""A run as somebody else's tester tells it, read into our words but not yet into a message of ours.

The readers of foreign formats make a `Reading` out of whatever they are given, and never raise: what can't be read is
a reason that names its field. Which unit and step are meant, and how the run is judged, is decided elsewhere.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from mes.domain import quantities
from mes.domain.cable import SeenConnection
from mes.domain.limits import Measurement
from mes.domain.product_check import Problem
from mes.domain.refusals import Reason, reason
from mes.domain.run import Defect
from mes.formats.canonical import canonical
from mes.formats.fields import show

NAME_MAX = 255
CODE_MAX = 64
TEXT_MAX = 4000
MEASUREMENTS_MAX = 10_000
SERIES_MAX = 100_000
"""Most values of one measurement; `mes.formats.messages.values.Value` allows no more."""
NOTE_MAX_BYTES = 16 * 1024
NOT_ALL_SEEN = "The diagnostic claims a pass; not all that it measured was looked at."


class ForeignRun(NamedTuple):
    """One attempt of one step. `run` is its own name, `unit` what it calls the unit, `outcome` its claim.

    `program` is (name, version). `notes` are things kept for people to read: they decide nothing. `doubts` say in
    sentences why its claim of pass can't be believed, `cuts` what came and is not among its values. `known_as` says of
    measurements that had to be renamed, for another has their name, what they are called by the tester.
    """

    started_at: datetime
    ended_at: datetime
    outcome: str
    run: str | None = None
    unit: str | None = None
    program: tuple[str, str] | None = None
    measurements: tuple[Measurement, ...] = ()
    connections: tuple[SeenConnection, ...] = ()
    defects: tuple[Defect, ...] = ()
    notes: dict[str, Any] = {}  # noqa: RUF012 - never written to
    doubts: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    known_as: dict[str, str] = {}  # noqa: RUF012 - never written to


class Reading(NamedTuple):
    """What a reader made of its input: a run, or (None) why there is none."""

    run: ForeignRun | None
    reasons: tuple[Reason, ...] = ()


def unread(problems: Iterable[Problem], code: str = "unreadable") -> Reading:
    """No run, for these problems."""
    return Reading(None, tuple(reason(code, f"{one.place}: {one.text}.", field=one.place) for one in problems))


def short(value: Any, length_max: int) -> str:
    """A text on one line that is not longer than allowed; of what is no text, what it is."""
    return " ".join((value if isinstance(value, str) else show(value)).split())[:length_max]


def unit_of_measure(spellings: Iterable[Any]) -> str | None:
    """The first spelling that can be converted from; failing that, the first there is."""
    texts = [short(one, CODE_MAX) for one in spellings if isinstance(one, str) and one.strip()]
    return next((one for one in texts if quantities.known(one)), texts[0] if texts else None)


def notable(value: Any) -> Any:
    """A value as a note, or what is too large or not exact enough to be kept as one, said so."""
    try:
        size = len(canonical(value))
    except ValueError:
        return "not kept: it has no exact JSON"
    return value if size <= NOTE_MAX_BYTES else f"not kept: it has {size} bytes, a note at most {NOTE_MAX_BYTES}"


def numbered(names: Iterable[str]) -> Iterator[str]:
    """Names made unique in their order: the second `x` is `x#2`."""
    used: dict[str, int] = {}
    for name in names:
        used[name] = used.get(name, 0) + 1
        tail = f"#{used[name]}" if used[name] > 1 else ""
        yield f"{name[: NAME_MAX - len(tail)]}{tail}"
