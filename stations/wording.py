"""A station's messages as they go on the wire: topic and bytes of each. What is too large is refused here."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from msgspec import Struct, to_builtins

from mes.formats.messages import (
    FOREIGN,
    MESSAGE_MAX_BYTES,
    TYPES,
    Child,
    StationStatus,
    StepAsked,
    UnitRef,
    Unreadable,
    decode,
    encode_event,
    is_unicode,
)
from mes.mqtt import topics
from stations.spool import Posted

_ADDRESS: Final = {struct: (kind, name) for kind, types in TYPES.items() for name, struct in types.items()}
_KIND: Final = {name: kind for kind, types in {**TYPES, **FOREIGN}.items() for name in types}

T = TypeVar("T")
_ANY: Final = "any"
_PLAIN: Final = (str, int, float, bool, type(None))
_FAILURES: Final = (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError)
"""What writing raises where JSON can't hold what is to be written."""


class TooLargeError(ValueError):
    """A message is larger than the MES reads. A broker would take it and drop it silently."""


class Wording:
    """How one station says things. Raises `TooLargeError` for what has more than `max_bytes`, and ValueError with the
    field and the mend for what JSON can't hold.
    """

    def __init__(self, station: str, max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        topics.topic(station, topics.STATUS)  # a name that can't be one is refused at once
        self.station = station
        self.source = f"stations/{station}"
        self.max_bytes = max_bytes

    def fact(
        self, data: Struct, at: datetime | None = None, id: str | None = None, traceparent: str | None = None
    ) -> Posted:
        """A fact; its topic and type follow from `data`. Raises TypeError for what is none."""
        if type(data) not in _ADDRESS:
            raise TypeError(f"data: {type(data).__name__} is no fact; give one of mes.formats.messages (StepStarted …)")
        return self._event(*_ADDRESS[type(data)], data, at, id, traceparent)

    def foreign(self, type_: str, data: Mapping[str, Any], at: datetime | None = None, id: str | None = None) -> Posted:
        """What others wrote, as the contract's type for it holds it. Raises ValueError for a type that it has not."""
        if type_ not in _KIND:
            raise ValueError(f"type: {type_!r} is none of {', '.join(_KIND)}")
        return self._event(_KIND[type_], type_, data, at, id)

    def ask(
        self,
        unit: UnitRef,
        step: str,
        parts: Iterable[Child],
        after: Iterable[str],
        at: datetime | None = None,
        id: str | None = None,
    ) -> Posted:
        """May this step begin?"""
        return self.fact(StepAsked(unit, step, several(parts, "parts"), several(after, "after")), at, id)

    def status(self, state: Any, since: datetime, reason: str | None) -> Posted:
        """What the station is doing."""
        said = StationStatus(state, since, reason)
        check(said)
        return self.fact(said)

    def will(self) -> Posted:
        """What the broker says should the connection break: for each connection a message of its own."""
        return self.fact(StationStatus("offline", datetime.now(UTC), "the connection broke", will=True))

    def _event(
        self,
        kind: str,
        type_: str,
        data: Struct | Mapping[str, Any],
        at: datetime | None,
        id: str | None,
        traceparent: str | None = None,
    ) -> Posted:
        id = id or str(uuid.uuid4())
        payload = _written(type_, self.source, id, moment(at), data, traceparent)
        if len(payload) > self.max_bytes:
            raise TooLargeError(f"The message has {len(payload)} bytes; {self.max_bytes} are allowed.")
        return Posted(id, topics.topic(self.station, kind), payload)


def check(fact: Struct, part: str = "") -> int:
    """How many bytes a message of this fact has. Raises ValueError for one that the MES would reject, with the field
    and the mend as the MES would tell them.

    `part` names the part of it that is checked (`measurements[0]`): fields are told relative to that.
    """
    kind, type_ = _ADDRESS[type(fact)]
    try:
        payload = _written(type_, f"stations/{_ANY}", _ANY, datetime.now(UTC), fact)
    except ValueError as error:
        raise ValueError(_told(str(error), part)) from error.__cause__
    for read in decode(_ANY, kind, payload, max_bytes=len(payload)):
        if isinstance(read, Unreadable):
            raise ValueError(" ".join(_told(one.text, part) for one in read.reasons))
    return len(payload)


def moment(at: datetime | None, field: str = "at") -> datetime:
    """A time that was given, else now. Raises TypeError or ValueError, with the field, for what is no moment."""
    if at is None:
        return datetime.now(UTC)
    if not isinstance(at, datetime):
        raise TypeError(f"{field}: give a datetime, not {at!r:.80}")
    if at.tzinfo is None:
        raise ValueError(f"{field}: a time needs a zone, as datetime.now(UTC) has one")
    return at


def several(values: Iterable[T], field: str) -> tuple[T, ...]:
    """What was given as a list. Raises TypeError for a bare text, which would be read letter by letter."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{field}: give a list, as [{values!r:.80}], not a bare text")
    return tuple(values)


def unwritable(value: Any) -> tuple[str, str] | None:
    """The first thing in a value that JSON can't hold: its field and the mend."""
    return next(_unwritable(value), None)


def _written(
    type_: str, source: str, id: str, at: datetime, data: Struct | Mapping[str, Any], traceparent: str | None = None
) -> bytes:
    try:
        return encode_event(type_, source, id, at, data, traceparent)
    except _FAILURES as error:
        field, why = unwritable(data) or ("", f"it can't be written as JSON ({error})")
        raise ValueError(f"data.{field}: {why}." if field else f"data: {why}.") from error


def _unwritable(value: Any) -> Iterator[tuple[str, str]]:
    rest = [("", value)]
    while rest:  # no recursion: how deep it is may be what is wrong with it
        at, one = rest.pop()
        if isinstance(one, Mapping):
            rest += [(f"{at}.{key}" if at else str(key), inner) for key, inner in one.items()]
            rest += [(at, key) for key in one]
        elif isinstance(one, Struct):
            rest += [(f"{at}.{name}" if at else name, getattr(one, name)) for name in one.__struct_fields__]
        elif isinstance(one, UnitRef):
            rest += [(at, one.serial), (at, one.part)]
        elif isinstance(one, list | tuple):
            rest += [(f"{at}[{index}]", inner) for index, inner in enumerate(one)]
        elif isinstance(one, str) and not is_unicode(one):
            yield printable(at), 'a text can\'t hold half a surrogate pair; decode it with errors="replace"'
        elif not isinstance(one, _PLAIN) and not _is_writable(one):
            yield (
                at,
                f"{type(one).__name__} can't be written as JSON; give a number, truth value, text or a list of them",
            )


def printable(text: str) -> str:
    """A text that can be sent, for people to read."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _is_writable(value: Any) -> bool:
    try:
        to_builtins(value)
    except _FAILURES:
        return False
    return True


def _told(text: str, part: str) -> str:
    return text.removeprefix("data.").removeprefix(f"{part}.")
