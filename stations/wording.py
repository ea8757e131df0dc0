"""A station's messages as they go on the wire: topic and bytes of each. What is too large is refused here."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from mes.formats.messages import (
    FOREIGN,
    MESSAGE_MAX_BYTES,
    TYPES,
    Child,
    StationStatus,
    StepAsked,
    UnitRef,
    encode_event,
)
from mes.mqtt import topics
from stations.spool import Posted

_ADDRESS: Final = {struct: (kind, name) for kind, types in TYPES.items() for name, struct in types.items()}
_KIND: Final = {name: kind for kind, types in {**TYPES, **FOREIGN}.items() for name in types}


class TooLargeError(ValueError):
    """A message is larger than the MES reads. A broker would take it and drop it silently."""


class Wording:
    """How one station says things. Raises `TooLargeError` for what has more than `max_bytes`."""

    def __init__(self, station: str, max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        topics.topic(station, topics.STATUS)  # a name that can't be one is refused at once
        self.station = station
        self.source = f"stations/{station}"
        self.max_bytes = max_bytes

    def fact(
        self, data: Struct, at: datetime | None = None, id: str | None = None, traceparent: str | None = None
    ) -> Posted:
        """A fact; its topic and type follow from `data`."""
        return self._event(*_ADDRESS[type(data)], data, at, id, traceparent)

    def foreign(self, type_: str, data: Mapping[str, Any], at: datetime | None = None, id: str | None = None) -> Posted:
        """What others wrote, as the contract's type for it holds it."""
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
        return self.fact(StepAsked(unit, step, tuple(parts), tuple(after)), at, id)

    def status(self, state: Any, since: datetime, reason: str | None) -> Posted:
        """What the station is doing."""
        return self.fact(StationStatus(state, since, reason))

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
        payload = encode_event(type_, self.source, id, at or datetime.now(UTC), data, traceparent)
        if len(payload) > self.max_bytes:
            raise TooLargeError(f"The message has {len(payload)} bytes; {self.max_bytes} are allowed.")
        return Posted(id, topics.topic(self.station, kind), payload)
