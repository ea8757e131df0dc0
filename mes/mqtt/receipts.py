"""Receipts: what the MES made of each message, told to the station that sent it after the commit.

A broker's acknowledgement promises nothing, so stations keep a message until its receipt comes. A receipt that gets
lost does no harm: the station sends the message again and is told `duplicate`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import uuid_utils

from mes.domain.refusals import Reason
from mes.formats.messages import Fate, SettledMessage, encode_settled, wire_reasons
from mes.mqtt import topics

RECEIPT_MAX_MESSAGES: Final = 500
RECEIPT_MAX_BYTES: Final = 256 * 1024


class Settled(Protocol):
    """What became of one message. `keyed_by` says whether `key` is its `id` or the `sha256` of its bytes."""

    @property
    def station(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def keyed_by(self) -> str: ...
    @property
    def fate(self) -> Fate: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...


class Receipt(NamedTuple):
    """One message to a station, ready to publish."""

    topic: str
    payload: bytes


def write_receipts(settled: Iterable[Settled], source: str, at: datetime) -> Iterator[Receipt]:
    """The receipts for all of them, several messages in one, by station and in order."""
    by_station: defaultdict[str, list[SettledMessage]] = defaultdict(list)
    for one in settled:
        by_station[one.station].append(_entry(one))
    for station, entries in by_station.items():
        for payload in _payloads(entries, source, at):
            yield Receipt(topics.topic(station, topics.RECEIPTS), payload)


def _entry(one: Settled) -> SettledMessage:
    reasons = wire_reasons(one.reasons)
    if one.keyed_by == "id":
        return SettledMessage(one.fate, id=one.key, reasons=reasons)
    return SettledMessage(one.fate, sha256=one.key, reasons=reasons)


def _payloads(entries: Sequence[SettledMessage], source: str, at: datetime) -> Iterator[bytes]:
    """The entries as messages that stay well below any broker's limit."""
    for start in range(0, len(entries), RECEIPT_MAX_MESSAGES):
        yield from _fitting(entries[start : start + RECEIPT_MAX_MESSAGES], source, at)


def _fitting(entries: Sequence[SettledMessage], source: str, at: datetime) -> Iterator[bytes]:
    """One message, or, where many reasons make it too large, its halves."""
    payload = encode_settled(source, str(uuid_utils.uuid7()), at, tuple(entries))
    if len(payload) <= RECEIPT_MAX_BYTES or len(entries) == 1:
        yield payload
        return
    middle = len(entries) // 2
    yield from _fitting(entries[:middle], source, at)
    yield from _fitting(entries[middle:], source, at)
