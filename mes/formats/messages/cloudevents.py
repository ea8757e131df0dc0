"""CloudEvents 1.0 in JSON: the envelope of every message, in and out.

Whatever bytes come in, `decode` returns: what can be read as messages, what can't as its bytes with the reasons.
"""

import functools
import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import accumulate, chain
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from mes.domain.refusals import Reason
from mes.formats.messages import answers, facts
from mes.formats.messages.foreign import FOREIGN, ForeignReport, Unfit
from mes.formats.messages.mending import Mend, lenient, mend, unstorable
from mes.formats.messages.samples import SamplesTaken
from mes.formats.messages.values import Text255, Time, UnitRef, Wrong, in_utc, unit_ref

MESSAGE_MAX_BYTES: Final = 1024 * 1024
BATCH_MAX_MESSAGES: Final = 10_000
DEPTH_MAX: Final = 100
"""How deep a message may be nested: no format that we know comes near, and Python can't write what is far deeper."""
STRUCTURED: Final = "application/cloudevents"

TYPES: Final[Mapping[str, Mapping[str, type[Struct]]]] = {
    "step": {"mes.step.started": facts.StepStarted, "mes.step.completed": facts.StepCompleted},
    "assembly": {"mes.part.installed": facts.PartInstalled, "mes.part.removed": facts.PartRemoved},
    "run": {"mes.run.reported": facts.RunReported},
    "samples": {"mes.samples.taken": SamplesTaken},
    "inventory": {"mes.inventory.read": facts.InventoryRead},
    "unit": {
        "mes.part.received": facts.PartReceived,
        "mes.unit.identified": facts.UnitIdentified,
        "mes.unit.packed": facts.UnitPacked,
        "mes.unit.shipped": facts.UnitShipped,
    },
    "material": {"mes.material.loaded": facts.MaterialLoaded, "mes.material.unloaded": facts.MaterialUnloaded},
    "status": {"mes.station.status": facts.StationStatus},
    "ask": {"mes.step.asked": facts.StepAsked},
}
"""What a station may say, by kind of topic."""

ANSWERS: Final[Mapping[str, Mapping[str, type[Struct]]]] = {
    "answers": {"mes.step.answered": answers.StepAnswered, "mes.run.stop": answers.RunStop},
    "receipts": {"mes.messages.settled": answers.MessagesSettled},
    "wanted": {"mes.messages.wanted": answers.MessagesWanted},
}
"""What the MES says to a station, by kind of topic."""


class Message(NamedTuple):
    """One message that can be read. `body` is this one event as structured JSON; `time` is in UTC."""

    source: str
    id: str
    type: str
    time: datetime
    station: str
    data: Struct
    body: bytes
    traceparent: str | None


class Unreadable(NamedTuple):
    """One message that can't be read: its bytes and why.

    `body` ends at the limit where more came; `sha256` (hex) is over all of it. `source`, `id` and `type` are what the
    message claims, where that much could be made out.
    """

    station: str
    body: bytes
    sha256: str
    source: str | None
    id: str | None
    type: str | None
    reasons: tuple[Reason, ...]


Arrived: TypeAlias = Message | Unreadable


class _Attributes(Struct, kw_only=True):
    """What every event carries beside its type and data."""

    specversion: str
    id: Text255
    source: Text255
    time: Time
    traceparent: Any = None

    def __post_init__(self) -> None:
        if self.specversion != "1.0":
            raise Wrong("it must be 1.0", "specversion")
        in_utc(self, "time")


class _Envelope(_Attributes, kw_only=True):
    type: Text255
    data: Raw


class _Event(Struct, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: Any
    traceparent: str | None = None

    def __post_init__(self) -> None:
        in_utc(self, "time")


def _hook(kind: type, wire: Any) -> Any:
    if kind is UnitRef:
        return unit_ref(wire)
    raise NotImplementedError(kind)  # pragma: no cover - a new custom type in the wire contract


def _unhook(value: Any) -> Any:
    if isinstance(value, UnitRef):
        return value.serial if value.part is None else {"part": value.part, "serial": value.serial}
    raise NotImplementedError(type(value))


class _Nothing(_Attributes, kw_only=True, tag=""):
    """No event: msgspec takes a type for granted where there is only one."""

    data: Annotated[int, Meta(gt=0, lt=0)]


class _Table(NamedTuple):
    """What may come on a kind of topic: the data of each type, and how an event with all of its data is read at once.

    Nearly every message can be read at once, in four fifths of the time. `at_once` leaves out foreign reports, which
    are read from their bytes, and inventories, which hold whatever a machine says of itself, nested at will; what it
    can't read is read in two steps, which find out what is wrong with it.
    """

    types: Mapping[str, tuple[type[Struct], Callable[[bytes], Struct]]]
    at_once: Callable[[bytes], Any] | None

    @classmethod
    def of(cls, types: Mapping[str, type[Struct]]) -> "_Table":
        """The table of these types of data, by the names that events give them."""
        decoders = {
            name: (struct, msgspec.json.Decoder(struct, dec_hook=_hook).decode) for name, struct in types.items()
        }
        events = [
            msgspec.defstruct(struct.__name__, [("data", struct)], bases=(_Attributes,), kw_only=True, tag=name)
            for name, struct in types.items()
            if not issubclass(struct, ForeignReport | facts.InventoryRead)
        ]
        every: Any = functools.reduce(operator.or_, (*events, _Nothing))
        return cls(decoders, msgspec.json.Decoder(every, dec_hook=_hook).decode if events else None)


_ENVELOPE = msgspec.json.Decoder(_Envelope).decode
_RAW = msgspec.json.Decoder(Raw).decode
_BATCH = msgspec.json.Decoder(list[Raw]).decode
_ENCODER = msgspec.json.Encoder(enc_hook=_unhook, decimal_format="number")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # one without an end reaches to that of the message
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one deeper, and as a signed byte one less deep
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_ATTRIBUTE = re.compile(r"^[a-z0-9]{1,20}\Z").match
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z").match
_FAILURES = (msgspec.MsgspecError, UnicodeError, RecursionError)
_FROM_STATIONS = {kind: _Table.of(types) for kind, types in {**TYPES, **FOREIGN}.items()}
_TO_STATIONS = {kind: _Table.of(types) for kind, types in ANSWERS.items()}
_ANY_KIND = _Table.of(dict(chain.from_iterable(types.items() for types in (*TYPES.values(), *FOREIGN.values()))))
_NO_KIND = _Table.of({})


def decode(
    station: str,
    kind: str | None,
    payload: bytes,
    *,
    properties: Mapping[str, str] | None = None,
    content_type: str | None = None,
    max_bytes: int = MESSAGE_MAX_BYTES,
) -> list[Arrived]:
    """What a station sent on its topic of a kind (None: any kind, as the HTTP twin takes it). Never raises.

    One message, or those of a batch, of which each stands alone. `properties` and `content_type` are MQTT 5's, for
    the binary mode.
    """
    table = _ANY_KIND if kind is None else _FROM_STATIONS.get(kind, _NO_KIND)
    # A door of the MES itself speaks under its own whole name, with a slash in it; no station's name has one.
    source = station if "/" in station else f"stations/{station}"
    return _decode(station, table, source, payload, properties, content_type, max_bytes)


def decode_answer(station: str, kind: str, payload: bytes, *, max_bytes: int = MESSAGE_MAX_BYTES) -> list[Arrived]:
    """What the MES sent to a station (kinds answers, receipts, wanted). Never raises."""
    return _decode(station, _TO_STATIONS.get(kind, _NO_KIND), None, payload, None, None, max_bytes)


def encode_event(
    type: str, source: str, id: str, time: datetime, data: Struct | Mapping[str, Any], traceparent: str | None = None
) -> bytes:
    """One event as structured JSON. `time` must have a zone; it is written in UTC."""
    return _ENCODER.encode(_Event("1.0", id, source, type, time, data, traceparent=traceparent))


def encode_settled(
    source: str, id: str, time: datetime, settled: tuple[answers.SettledMessage, ...], traceparent: str | None = None
) -> bytes:
    """Receipts for one station as one event."""
    return encode_event(
        "mes.messages.settled", source, id, time, answers.MessagesSettled(settled), traceparent=traceparent
    )


def _decode(
    station: str,
    table: _Table,
    source: str | None,
    payload: bytes,
    properties: Mapping[str, str] | None,
    content_type: str | None,
    max_bytes: int,
) -> list[Arrived]:
    if len(payload) > max_bytes:
        why = Mend("", f"it has {len(payload)} bytes where {max_bytes} are allowed", "too_large")
        return [_unreadable(station, payload, why, keep_bytes=max_bytes)]
    if properties and "specversion" in properties and not (content_type or "").startswith(STRUCTURED):
        try:
            payload = _structured(payload, properties, content_type)
        except _FAILURES as error:
            return [_unreadable(station, payload, mend(error, payload, _Envelope, "data"), properties)]
    elif payload[:1] == b"[" or payload.lstrip()[:1] == b"[":
        return _batch(station, table, source, payload)
    return [_one(station, table, source, payload)]


def _batch(station: str, table: _Table, source: str | None, payload: bytes) -> list[Arrived]:
    try:
        elements = _BATCH(payload)
    except _FAILURES as error:
        return [_unreadable(station, payload, mend(error, payload, _Envelope))]
    if len(elements) > BATCH_MAX_MESSAGES:
        why = Mend("", f"a batch has at most {BATCH_MAX_MESSAGES} messages", "too_large")
        return [_unreadable(station, payload, why)]
    return [_one(station, table, source, bytes(element).strip()) for element in elements]


def _one(station: str, table: _Table, source: str | None, body: bytes) -> Arrived:
    if table.at_once is not None:
        try:
            if not body.isascii():
                body.decode()
            event = table.at_once(body)
        except _FAILURES:
            return _in_two_steps(station, table, source, body)
        if (source is None or event.source == source) and b"\\u0000" not in body:
            type, trace = event.__struct_config__.tag, _trace(event.traceparent)
            return Message(event.source, event.id, type, event.time, station, event.data, body, trace)
    return _in_two_steps(station, table, source, body)


def _depth(body: bytes) -> int:
    """How deep the brackets outside of texts are nested, whether it is JSON or not."""
    steps = memoryview(_STRING.sub(b"", body).translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps), default=0)


def _in_two_steps(station: str, table: _Table, source: str | None, body: bytes) -> Arrived:
    """First the envelope, then the data, so that what is wrong can be told where it is."""
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _depth(body) > DEPTH_MAX:
        return _unreadable(station, body, Mend("", f"it is nested more than {DEPTH_MAX} levels deep"))
    where: tuple[type[Struct], str] = (_Envelope, "")
    fragment = body
    try:
        if not body.isascii():
            body.decode()
        event = _ENVELOPE(body)
        if source is not None and event.source != source:
            return _unreadable(station, body, Mend("source", f"it must be {source}", "wrong_source"))
        known = table.types.get(event.type)
        if known is None:
            return _unreadable(station, body, _wrong_type(table))
        where, fragment = (known[0], "data"), bytes(event.data)
        data = known[1](fragment)
        if isinstance(data, ForeignReport):
            data = data.told(fragment, event.time)
        if b"\\u0000" in body and (nul := next(unstorable(lenient(body)), None)):
            return _unreadable(station, body, nul)
    except Unfit as unfit:
        return _unreadable(station, body, unfit)
    except _FAILURES as error:
        return _unreadable(station, body, mend(error, fragment, *where))
    return Message(event.source, event.id, event.type, event.time, station, data, body, _trace(event.traceparent))


def _wrong_type(table: _Table) -> Mend:
    if not table.types:
        return Mend("", "the MES reads no messages on this topic")
    return Mend("type", f"on this topic it must be one of {', '.join(table.types)}")


def _trace(given: Any) -> str | None:
    """A broken trace context is no reason to refuse a fact."""
    return given if isinstance(given, str) and _TRACEPARENT(given) else None


def _structured(payload: bytes, properties: Mapping[str, str], content_type: str | None) -> bytes:
    """A message in binary mode as the same in structured mode. Raises what msgspec raises for data that isn't JSON."""
    _RAW(payload)  # one whole JSON value: what follows it can't smuggle attributes in
    head = {name: value for name, value in properties.items() if _ATTRIBUTE(name) and name != "data"}
    if content_type:
        head["datacontenttype"] = content_type
    return _ENCODER.encode(head | {"data": Raw(payload)})


def _unreadable(
    station: str,
    body: bytes,
    why: Mend | Unfit,
    claims: Mapping[str, Any] | None = None,
    keep_bytes: int | None = None,
) -> Unreadable:
    if claims is None:
        found = lenient(body) if keep_bytes is None else None
        claims = found if isinstance(found, dict) else {}
    source, id, type = (_claim(claims.get(name)) for name in ("source", "id", "type"))
    digest = hashlib.sha256(body).hexdigest()
    reasons = why.reasons if isinstance(why, Unfit) else (why.as_reason(),)
    return Unreadable(station, body[:keep_bytes], digest, source, id, type, reasons)


def _claim(value: Any) -> str | None:
    """An attribute of a message that can't be read, if it can at least be stored."""
    if isinstance(value, str) and 0 < len(value) <= 255 and next(unstorable(value), None) is None:
        return value
    return None
