"""Receipts that a spool's disk has no room for: in memory until it has, and as good as noted meanwhile.

What they settle is not sent again and its fate is known. Should the program end before there is room, it is sent again
by the next one, and is a duplicate.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from mes.formats.messages import SettledMessage

FINAL: Final = frozenset({"applied", "duplicate", "rejected", "dismissed"})
"""Fates after which nothing else comes; `pending` is not one."""


class _Held(NamedTuple):
    receipt: SettledMessage
    at: datetime
    seq: int
    """The message's place in the spool."""
    size: int
    waits: bool
    """Whether it waits according to the file."""


class Held:
    """The receipts, by the ids of their messages."""

    def __init__(self) -> None:
        self._receipts: dict[str, _Held] = {}

    def __len__(self) -> int:
        return len(self._receipts)

    def add(self, receipt: SettledMessage, at: datetime, row: tuple[int, str, int, int]) -> None:
        """Hold a receipt that was written at that moment; `row`: its message's seq, id, size, and whether it waits."""
        seq, id, size, waits = row
        before = self._receipts.get(id)
        if before is None or before.receipt.fate not in FINAL:
            self._receipts[id] = _Held(receipt, at, seq, size, bool(waits))

    def some(self, most_bytes: int) -> list[tuple[str, SettledMessage, datetime]]:
        """The first ones: each message's id and receipt, and when that was written. Their messages have so many bytes
        together; one, where it has more."""
        found: list[tuple[str, SettledMessage, datetime]] = []
        for id, one in self._receipts.items():
            most_bytes -= one.size
            if found and most_bytes < 0:
                break
            found.append((id, one.receipt, one.at))
        return found

    def forget(self, ids: Iterable[str]) -> None:
        """These are noted."""
        for id in ids:
            del self._receipts[id]

    def still_waiting(self, rows: Iterable[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Of rows that begin with a message's place, those whose messages still wait."""
        settled = {one.seq for one in self._receipts.values()} if self._receipts else ()
        return [row for row in rows if row[0] not in settled]

    @property
    def ids(self) -> set[str]:
        """The messages that have a receipt here."""
        return set(self._receipts)

    @property
    def final(self) -> set[str]:
        """Those of which nothing else will come."""
        return {id for id, one in self._receipts.items() if one.receipt.fate in FINAL}

    @property
    def sizes(self) -> list[int]:
        """How large the messages are that wait only because this could not be noted."""
        return [one.size for one in self._receipts.values() if one.waits]

    def known(
        self, noted: dict[str, tuple[int, SettledMessage]], asked: Collection[str]
    ) -> dict[str, tuple[int, SettledMessage]]:
        """Places and fates of the messages that are asked for, with what is held: the first final fate stays."""
        held = {
            id: (one.seq, one.receipt)
            for id, one in self._receipts.items()
            if id in asked and (id not in noted or noted[id][1].fate not in FINAL)
        }
        return noted | held
