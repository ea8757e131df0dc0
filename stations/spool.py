"""What a station has said and not been told the fate of: kept on disk until the MES's receipt comes.

A broker's acknowledgement promises nothing, the MES's receipt does: it comes after the commit. A message is on disk
before it is sent; its receipt ends its wait; then it is kept some days longer, to be sent again when the MES asks for
it (`wanted`), and forgotten. The file is an SQLite database that one process at a time has open.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from mes.formats.messages import SettledMessage
from stations import spool_file
from stations.held import FINAL, Held
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
FORGOTTEN_WHEN_FULL: Final = 25
"""So many at a time where the disk is full, so that the log has room to tell of it."""
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
        self._db, self.salvaged = spool_file.open_file(self.path, station, wait_s, ballast=durable)
        self.waiting_messages = self.waiting_bytes = self.settled_bytes = 0
        self._held = Held()
        self._count()

    def close(self) -> None:
        """Let go of the file; another process may open it then."""
        with self._turn:
            with suppress(SpoolError):  # what can't be noted now comes again
                self._note_held()
            self._db.close()

    @property
    def filled(self) -> float:
        """How full it is with what waits: 1.0 is full."""
        return max(self.waiting_bytes / self.max_bytes, self.waiting_messages / self.max_messages)

    @property
    def held(self) -> int:
        """How many receipts are in memory only, until the disk has room for them."""
        return len(self._held)

    def keep(self, said: Sequence[Posted]) -> None:
        """Write messages to disk before they are sent, all of them or none. One whose id is kept already is left out.

        Raises `SpoolFullError` when too much waits, or when the disk is full; `SpoolDamagedError` when the file is
        not at its place any more.
        """
        size = sum(len(one.payload) for one in said)
        with self._turn:
            self._db.check_place(self.waiting_messages)
            self._check_room(len(said), size)
            with suppress(SpoolError):
                self._note_held()
            if not self._db.ballast.put() and not self._make_room(size):
                raise SpoolFullError(f"The disk of the spool {self.path} is full.")
            try:
                self._keep(said)
            except SpoolFullError:
                if not self._make_room(size):
                    raise
                self._keep(said)
            self._db.wrote(size)

    def _keep(self, said: Sequence[Posted]) -> None:
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

        The first fate that is final stays. A receipt that is lost in a power cut comes again. Where the disk is full
        they are `held` in memory until there is room: otherwise a spool that filled its disk would never empty.
        """
        heard = [one for one in receipts if one.id is not None]
        with self._turn:
            with suppress(SpoolError):
                return self._note(heard, at)
            ours = self._hold(heard, at)
            self._db.ballast.drop()
            self._db.empty_log()
            with suppress(SpoolError):
                self._note_held()
            self._db.ballast.put()
            return ours

    def _note(self, heard: Sequence[SettledMessage], at: datetime) -> list[str]:
        self._note_held()
        with self._writing(durable=False):
            ours = [one.id for one in heard if one.id is not None and self._settle(one.id, one, at)]
            self._forget_old(at.timestamp() - self._kept_s)
            return ours

    def _note_held(self) -> None:
        """Write down what was heard when there was no room. Raises `SpoolFullError` while there is none."""
        while some := self._held.some(spool_file.BALLAST_MIN_BYTES // 4):  # to note one, SQLite writes it anew
            with self._writing(durable=False):
                for id, receipt, at in some:
                    self._settle(id, receipt, at)
            self._held.forget(id for id, _, _ in some)
            self._count()
            self._db.empty_log()

    def _hold(self, heard: Sequence[SettledMessage], at: datetime) -> list[str]:
        """Keep receipts in memory; returns the ids of those that are ours."""
        receipts = {one.id: one for one in heard if one.id is not None}
        ours = set()
        for some in _portions(receipts):
            for row in self._select(f"SELECT seq, id, size, waiting FROM message WHERE id IN ({_marks(some)})", some):
                self._held.add(receipts[row[1]], at, row)
                ours.add(row[1])
        self._count()
        return [id for id in receipts if id in ours]

    def fate(self, id: str) -> SettledMessage | None:
        """What became of a message; None while no receipt has come, and for one that is not kept."""
        return self.fates([id]).get(id)

    def fates(self, ids: Iterable[str]) -> dict[str, SettledMessage]:
        """What became of messages, of those of them that have a receipt, oldest first."""
        ids = set(ids)
        columns = "SELECT seq, id, fate, reasons FROM message WHERE fate IS NOT NULL AND id"
        with self._turn:
            found = [row for some in _portions(ids) for row in self._select(f"{columns} IN ({_marks(some)})", some)]
            noted = {id: (seq, spool_file.read_fate(id, fate, reasons)) for seq, id, fate, reasons in found}
            known = self._held.known(noted, ids)
        return {id: fate for id, (_, fate) in sorted(known.items(), key=lambda one: one[1][0])}

    def without_receipt(self, ids: Iterable[str] | None = None) -> set[str]:
        """Which of these messages (None: of all) are kept and have no receipt at all."""
        with self._turn:
            if ids is None:
                rows = self._select("SELECT id FROM message WHERE waiting AND fate IS NULL")
            else:
                columns = "SELECT id FROM message WHERE fate IS NULL AND id"
                rows = [row for some in _portions(ids) for row in self._select(f"{columns} IN ({_marks(some)})", some)]
            return {id for (id,) in rows} - self._held.ids

    def unsettled(self) -> list[str]:
        """Ids of what has no final fate yet, pending ones included, oldest first."""
        with self._turn:
            rows = self._select("SELECT seq, id FROM message WHERE waiting AND fate IS NULL")
            rows += self._select("SELECT seq, id FROM message WHERE fate = 'pending'")
            settled = self._held.final
        return [id for _, id in sorted(rows) if id not in settled]

    def waiting(self, after: int, max_messages: int, max_bytes: int) -> list[Waiting]:
        """What waits behind the place `after`, in order: at least one if there is one, then as much as fits."""
        with self._turn:
            sizes = self._select(
                "SELECT seq, size FROM message WHERE waiting AND seq > ? ORDER BY seq LIMIT ?",
                (after, max_messages + len(self._held)),
            )
            sizes = self._held.still_waiting(sizes)[:max_messages]
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
        """Let pending messages wait again: the receipt that says what became of them may have been missed. Where the
        disk is full, not now.
        """
        with suppress(SpoolFullError):
            return self._wait_again("fate = 'pending'", ())
        return 0

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

    def _make_room(self, size: int) -> bool:
        """Where the disk is full: forget half of what is settled, empty the log. False if more is to be kept free."""
        self._db.ballast.drop()
        self._db.empty_log()
        with suppress(SpoolError):
            ((settled,),) = self._select("SELECT count(*) FROM message WHERE NOT waiting")
            for _ in range(0, min(FORGOTTEN_AT_ONCE, (settled + 1) // 2), FORGOTTEN_WHEN_FULL):
                with self._writing(durable=False):
                    self._forget_old(float("inf"), FORGOTTEN_WHEN_FULL)
                self._db.empty_log()
        return self._db.ballast.put(self._db.room_for(size))

    def _check_room(self, messages: int, size: int) -> None:
        if self.waiting_messages + messages > self.max_messages:
            raise SpoolFullError(f"{self.waiting_messages} messages wait for receipts; {self.max_messages} may.")
        if self.waiting_bytes + size > self.max_bytes:
            raise SpoolFullError(f"{self.waiting_bytes} bytes wait for receipts; {self.max_bytes} may.")

    def _forget_for_room(self) -> None:
        """What is settled makes room for what is not."""
        while self.waiting_bytes + self.settled_bytes > self.max_bytes and self._forget_old(float("inf")):
            pass

    def _forget_old(self, before: float, most: int = FORGOTTEN_AT_ONCE) -> int:
        """Forget the oldest that were settled before a moment; how many."""
        old = self._db.execute(
            "SELECT seq, size FROM message WHERE NOT waiting AND settled_at < ? ORDER BY settled_at LIMIT ?",
            (before, most),
        ).fetchall()
        self._db.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq, _ in old])
        self.settled_bytes -= sum(size for _, size in old)
        return len(old)

    def _count(self) -> None:
        count = "SELECT count(*), coalesce(sum(size), 0) FROM message WHERE "
        ((self.waiting_messages, self.waiting_bytes),) = self._select(count + "waiting")
        ((_, self.settled_bytes),) = self._select(count + "NOT waiting")
        waited = self._held.sizes
        self.waiting_messages -= len(waited)
        self.waiting_bytes -= sum(waited)
        self.settled_bytes += sum(waited)

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
