"""What a station has said and not been told the fate of: kept until the MES's receipt comes.

A broker's acknowledgement promises nothing, the MES's receipt does: it comes after the commit. What is settled is kept
a while longer, to be sent again when the MES asks for it (`wanted`).
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from mes.formats.messages import SettledMessage

KEPT_MAX: Final = 10_000
"""Most settled messages that are remembered in memory."""
WAITING_MAX: Final = 100_000
"""Most unsettled messages that are held in memory."""
PENDING: Final = "pending"


class SpoolFull(Exception):  # noqa: N818 - what the spool is
    """Too much waits for receipts: the MES can't be reached, or does not keep up. Stop working."""


class Posted(NamedTuple):
    """One message as it was sent."""

    id: str
    topic: str
    payload: bytes


class Spool(Protocol):
    """Where a client keeps what it said. Called from several threads, one at a time."""

    def keep(self, posted: Posted) -> None:
        """Remember a message before it is sent. Raises `SpoolFull`."""

    def settle(self, one: SettledMessage, at: datetime) -> None:
        """Note a receipt. The first fate that is final stays; `pending` is not final."""

    def fate(self, id: str) -> SettledMessage | None:
        """What became of a message; None while no receipt has come, and for one that is not remembered."""

    def unsettled(self) -> list[Posted]:
        """What has no final fate yet, oldest first."""

    def settled_between(self, since: datetime, until: datetime | None) -> list[Posted]:
        """What was settled in that time, oldest first."""


class MemorySpool:
    """A spool that lives as long as its process: for simulations, and for stations that can say all of it again."""

    def __init__(self, kept_max: int = KEPT_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._kept_max = kept_max
        self._waiting_max = waiting_max
        self._waiting: OrderedDict[str, Posted] = OrderedDict()
        self._settled: OrderedDict[str, tuple[datetime, Posted]] = OrderedDict()
        self._fates: dict[str, SettledMessage] = {}

    def keep(self, posted: Posted) -> None:
        if len(self._waiting) >= self._waiting_max:
            raise SpoolFull(f"{len(self._waiting)} messages wait for receipts")
        self._waiting[posted.id] = posted

    def settle(self, one: SettledMessage, at: datetime) -> None:
        if one.id is None or one.id not in self._waiting:
            return
        self._fates[one.id] = one
        if one.fate != PENDING:
            self._settled[one.id] = (at, self._waiting.pop(one.id))
            self._forget(self._settled)

    def _forget(self, settled: "OrderedDict[str, tuple[datetime, Posted]]") -> None:
        while len(settled) > self._kept_max:
            oldest, _ = settled.popitem(last=False)
            del self._fates[oldest]

    def fate(self, id: str) -> SettledMessage | None:
        return self._fates.get(id)

    def unsettled(self) -> list[Posted]:
        return list(self._waiting.values())

    def settled_between(self, since: datetime, until: datetime | None) -> list[Posted]:
        return [one for at, one in self._settled.values() if since <= at and (until is None or at <= until)]


def without_fate(spool: Spool, ids: Iterable[str]) -> list[str]:
    """Of these messages, those for which no receipt has come."""
    return [one for one in ids if spool.fate(one) is None]
