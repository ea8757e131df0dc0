"""What a station has said and not been told the fate of: kept on disk until the MES's receipt comes.

A broker's acknowledgement promises nothing, the MES's receipt does: it comes after the commit. A message is on disk
before it is sent; its receipt ends its wait; then it is kept some days longer, to be sent again when the MES asks for
it (`wanted`), and forgotten. The file is an SQLite database that one process at a time has open.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from mes.formats.messages import SettledMessage
from stations import spool_file
from stations.spool_file import SpoolDamagedError, SpoolError, SpoolFullError, SpoolInUseError

__all__ = ["Posted", "Spool", "SpoolDamagedError", "SpoolError", "SpoolFullError", "SpoolInUseError", "Waiting"]

MAX_BYTES: Final = 2 * 1024**3
"""Most bytes of messages that are kept, waiting and settled together."""
MAX_MESSAGES: Final = 1_000_000
"""Most messages that may wait for receipts."""
KEPT_DAYS: Final = 7.0
"""How long a settled message is kept to answer `wanted`, in days, where there is room."""
FORGOTTEN_AT_ONCE: Final = 2_000
"""Most settled messages that one receipt may make the spool forget, so that none takes long."""
FINAL: Final = frozenset({"applied", "duplicate", "rejected", "dismissed"})
"""Fates after which nothing else comes; `pending` is not one."""
IDS_AT_ONCE: Final = 500


class Posted(NamedTuple):
    """One message as it is sent."""

    id: str
    topic: str
    payload: bytes


class Waiting(NamedTuple):
    """A message that is to be sent until its receipt comes; `seq` is its place in the order of what was said."""

    seq: int
    id: str
    topic: str
    payload: bytes


class Spool:
    """The messages of one station, in the order in which they were said. Its methods may be called from any thread.

    `durable`: what `keep` returned from survives a power cut; otherwise it survives the end of this process, however
    sudden, and is written several times as fast. Opening raises `SpoolInUseError` when another process has the file
    and does not let go of it within `wait_s` seconds, and `SpoolError` for a file that is no spool or another
    station's. A damaged one is set aside and what can be read of it is taken over: see `salvaged`.
    """

    def __init__(
        self,
        path: Path | str,
        station: str,
        *,
        max_bytes: int = MAX_BYTES,
        max_messages: int = MAX_MESSAGES,
        kept_days: float = KEPT_DAYS,
        durable: bool = True,
        wait_s: float = spool_file.OPEN_WAIT_S,
    ) -> None:
        self.path = Path(path)
        self.max_bytes = max_bytes
        self.max_messages = max_messages
        self._kept_s = kept_days * 86_400
        self._turn = threading.RLock()
        self._durable = durable
        self._db, self.salvaged = spool_file.open_file(self.path, station, wait_s)
        self.waiting_messages = self.waiting_bytes = self.settled_bytes = 0
        self._count()

    def close(self) -> None:
        """Let go of the file; another process may open it then."""
        with self._turn:
            self._db.close()

    @property
    def filled(self) -> float:
        """How full it is with what waits: 1.0 is full."""
        return max(self.waiting_bytes / self.max_bytes, self.waiting_messages / self.max_messages)

    def keep(self, said: Sequence[Posted]) -> None:
        """Write messages to disk before they are sent, all of them or none. One whose id is kept already is left out.

        Raises `SpoolFullError` when too much waits, or when the disk is full.
        """
        size = sum(len(one.payload) for one in said)
        with self._turn:
            self._check_room(len(said), size)
            with self._writing(self._durable):
                for one in said:
                    added = self._db.execute(
                        "INSERT OR IGNORE INTO message (id, topic, size, payload) VALUES (?, ?, ?, ?)",
                        (one.id, one.topic, len(one.payload), one.payload),
                    ).rowcount
                    self.waiting_messages += added
                    self.waiting_bytes += added * len(one.payload)
                self._forget_for_room()

    def settle(self, receipts: Iterable[SettledMessage], at: datetime) -> list[str]:
        """Note receipts that the MES wrote at `at`; returns the ids of those that were ours and waited.

        The first fate that is final stays. A receipt that is lost in a power cut comes again.
        """
        with self._turn, self._writing(durable=False):
            heard = [one.id for one in receipts if one.id is not None and self._settle(one.id, one, at)]
            self._forget_old(at.timestamp() - self._kept_s)
            return heard

    def fate(self, id: str) -> SettledMessage | None:
        """What became of a message; None while no receipt has come, and for one that is not kept."""
        return self.fates([id]).get(id)

    def fates(self, ids: Iterable[str]) -> dict[str, SettledMessage]:
        """What became of messages, of those of them that have a receipt, oldest first."""
        found = [
            row
            for some in _portions(ids)
            for row in self._select(
                f"SELECT seq, id, fate, reasons FROM message WHERE fate IS NOT NULL AND id IN ({_marks(some)})", some
            )
        ]
        return {id: spool_file.read_fate(id, fate, reasons) for _, id, fate, reasons in sorted(found)}

    def without_receipt(self, ids: Iterable[str] | None = None) -> set[str]:
        """Which of these messages (None: of all) are kept and have no receipt at all."""
        if ids is None:
            return {id for (id,) in self._select("SELECT id FROM message WHERE waiting AND fate IS NULL")}
        rows = (
            self._select(f"SELECT id FROM message WHERE fate IS NULL AND id IN ({_marks(some)})", some)
            for some in _portions(ids)
        )
        return {id for some in rows for (id,) in some}

    def unsettled(self) -> list[str]:
        """Ids of what has no final fate yet, pending ones included, oldest first."""
        rows = self._select("SELECT seq, id FROM message WHERE waiting AND fate IS NULL")
        rows += self._select("SELECT seq, id FROM message WHERE fate = 'pending'")
        return [id for _, id in sorted(rows)]

    def waiting(self, after: int, max_messages: int, max_bytes: int) -> list[Waiting]:
        """What waits behind the place `after`, in order: at least one if there is one, then as much as fits."""
        sizes = self._select(
            "SELECT seq, size FROM message WHERE waiting AND seq > ? ORDER BY seq LIMIT ?", (after, max_messages)
        )
        places: list[int] = []
        total = 0
        for seq, size in sizes:
            total += size
            if places and total > max_bytes:
                break
            places.append(seq)
        columns = "SELECT seq, id, topic, payload FROM message "
        return [
            Waiting(*row)
            for some in _portions(places)
            for row in self._select(f"{columns} WHERE seq IN ({_marks(some)}) ORDER BY seq", some)
        ]

    def want(self, since: datetime, until: datetime | None) -> int:
        """Let what was settled in that time wait again, for the MES wants it; how many messages that are."""
        end = until.timestamp() if until else float("inf")
        return self._wait_again("settled_at BETWEEN ? AND ?", (since.timestamp(), end))

    def doubt_pending(self) -> int:
        """Let pending messages wait again: the receipt that says what became of them may have been missed."""
        return self._wait_again("fate = 'pending'", ())

    def _wait_again(self, which: str, values: tuple[Any, ...]) -> int:
        with self._turn:
            with self._writing(durable=False):
                found = self._db.execute(f"UPDATE message SET waiting = 1 WHERE NOT waiting AND {which}", values)
            self._count()
            return found.rowcount

    def _settle(self, id: str, one: SettledMessage, at: datetime) -> bool:
        row = self._db.execute("SELECT waiting, fate, size FROM message WHERE id = ?", (id,)).fetchone()
        if row is None:
            return False  # another program's that speaks as the same station
        waited, before, size = row
        if before in FINAL:
            self._db.execute("UPDATE message SET waiting = 0, settled_at = ? WHERE id = ?", (at.timestamp(), id))
        else:
            self._db.execute(
                "UPDATE message SET waiting = 0, fate = ?, reasons = ?, settled_at = ? WHERE id = ?",
                (one.fate, spool_file.write_reasons(one), at.timestamp(), id),
            )
        if waited:
            self.waiting_messages -= 1
            self.waiting_bytes -= size
            self.settled_bytes += size
        return True

    def _check_room(self, messages: int, size: int) -> None:
        if self.waiting_messages + messages > self.max_messages:
            raise SpoolFullError(f"{self.waiting_messages} messages wait for receipts; {self.max_messages} may.")
        if self.waiting_bytes + size > self.max_bytes:
            raise SpoolFullError(f"{self.waiting_bytes} bytes wait for receipts; {self.max_bytes} may.")

    def _forget_for_room(self) -> None:
        """What is settled makes room for what is not."""
        while self.waiting_bytes + self.settled_bytes > self.max_bytes and self._forget_old(float("inf")):
            pass

    def _forget_old(self, before: float) -> int:
        """Forget the oldest that were settled before a moment; how many."""
        old = self._db.execute(
            "SELECT seq, size FROM message WHERE NOT waiting AND settled_at < ? ORDER BY settled_at LIMIT ?",
            (before, FORGOTTEN_AT_ONCE),
        ).fetchall()
        self._db.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq, _ in old])
        self.settled_bytes -= sum(size for _, size in old)
        return len(old)

    def _count(self) -> None:
        count = "SELECT count(*), coalesce(sum(size), 0) FROM message WHERE "
        ((self.waiting_messages, self.waiting_bytes),) = self._select(count + "waiting")
        ((_, self.settled_bytes),) = self._select(count + "NOT waiting")

    def _select(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._turn, spool_file.told(self.path):
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self, durable: bool) -> Iterator[None]:
        """One transaction, on disk at its end if `durable`."""
        with spool_file.told(self.path):
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._count()
                raise


def default_path(station: str, program: str, folder: Path | None = None) -> Path:
    """Where a program that speaks as a station keeps its spool if nobody says so: in the user's home."""
    return (folder or Path.home() / ".mes-station") / f"station-{quote(station, safe='')}" / f"{program}.spool"


def _portions(values: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(values)
    while some := list(islice(rest, IDS_AT_ONCE)):
        yield some


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
