"""The file of a spool: opened by one process at a time, recognised, and mended when it is damaged.

SQLite's write-ahead log makes a commit safe whenever the process ends. `locking_mode=EXCLUSIVE` holds the file's lock
until it is closed, on every operating system, and the system lets go of it when the process dies.

POSIX drops all of a process's locks on a file as soon as that process closes any descriptor of it. So a file that this
process has open is not even looked at: that alone would let another process in.
"""

import errno
import logging
import os
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from mes.formats.messages import SettledMessage, WireReason

log = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x4D455353
"""Stands in the file's header: `file` and we know by it what it is."""
VERSION: Final = 1
OPEN_WAIT_S: Final = 2.0
"""How long an opener waits for a process that is just ending."""
HEADER: Final = b"SQLite format 3\0"
COMPANIONS: Final = ("", "-wal", "-shm")
MEMORY: Final = ":memory:"
BALLAST_MAX_BYTES: Final = 256 * 1024
BALLAST_MIN_BYTES: Final = 64 * 1024
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)

_SCHEMA: Final = f"""
CREATE TABLE station (name TEXT NOT NULL);
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    size INTEGER NOT NULL,
    waiting INTEGER NOT NULL DEFAULT 1,
    fate TEXT,
    settled_at REAL,
    reasons BLOB,
    payload BLOB NOT NULL
);
CREATE INDEX message_waiting ON message (seq, size) WHERE waiting;
CREATE INDEX message_settled ON message (settled_at, size) WHERE NOT waiting;
CREATE INDEX message_pending ON message (seq) WHERE fate = 'pending';
PRAGMA user_version = {VERSION};
PRAGMA application_id = {APPLICATION_ID};
"""
_COLUMNS: Final = "seq, id, topic, size, waiting, fate, settled_at, reasons, payload"
_reasons = msgspec.json.Decoder(tuple[WireReason, ...]).decode
_open_here: Final[set[Path]] = set()
"""Real paths of the spools that this process has open."""
_opening: Final = threading.Lock()


class SpoolError(Exception):
    """The spool can't be used: it says why and what to do."""


class SpoolInUseError(SpoolError):
    """Another process has the spool open: two would send the same messages."""


class SpoolFullError(SpoolError):
    """Too much waits for receipts: the MES can't be reached, or does not keep up. Stop working."""


class SpoolDamagedError(SpoolError):
    """The file can't be read any more. At the next start what can be read is taken over into a new one."""


class SpoolFile(sqlite3.Connection):
    """An open spool. Its path is free again in this process once it is closed, or forgotten."""

    let_go: Callable[[], object] | None = None
    place: Path | None = None
    """Its real path; None for one in memory."""
    inode = 0
    logged_bytes = 0

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.ballast = Ballast(None)

    def close(self) -> None:
        """Close the file, then let others of this process at it."""
        super().close()
        if self.let_go:
            self.let_go()

    def check_place(self, waiting: int) -> None:
        """Raises `SpoolDamagedError` for a file that was deleted: what is written to it is gone with this process."""
        if self.place is None:
            return
        with suppress(FileNotFoundError):
            if self.place.stat().st_ino == self.inode:
                return
        raise SpoolDamagedError(
            f"The spool {self.place} was deleted or replaced while it was open: what is said now would not be on disk. "
            f"{waiting} messages wait in it; they are lost unless their receipts come before this program ends. "
            "Start it again then."
        )

    def wrote(self, size: int) -> None:
        """So many bytes were added: the log is copied before the file would grow by more than the ballast can give."""
        self.logged_bytes += size
        if self.ballast.is_wanted and self.logged_bytes > BALLAST_MIN_BYTES:
            self.empty_log("PASSIVE")

    def room_for(self, size: int) -> int:
        """How many bytes must be free on the disk to write so many: fewer where the file need not grow."""
        with suppress(sqlite3.Error):
            (pages,), (page,) = (self.execute(f"PRAGMA {one}").fetchone() for one in ("freelist_count", "page_size"))
            if pages * page > 2 * size:
                return BALLAST_MIN_BYTES // 4 + size
        return BALLAST_MIN_BYTES + 2 * size

    def empty_log(self, how: str = "TRUNCATE") -> None:
        """Copy the log into the file, as far as the disk has room for it."""
        with suppress(sqlite3.Error):
            self.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
        self.logged_bytes = 0


class Ballast:
    """Bytes beside a spool that nobody needs: given up when the disk is full, so that receipts can be noted.

    They are a file of their own. Free space within the spool's file is of no use then: SQLite writes what it changes
    to its log first, and empties the log only by copying it into the file, which may have to grow for that.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` is None where there is to be none: it counts as being there."""
        self._path = path
        self._bytes = 0
        self.is_wanted = path is not None
        self.is_there = not self.is_wanted

    def put(self, beside: int = BALLAST_MIN_BYTES) -> bool:
        """Take the space; False if the disk has not got it and so many bytes beside it, for the log: a file that grew
        to the very end of its disk could not be changed any more.
        """
        if self._path is None or self.is_there:
            return True
        try:
            if not self._path.exists() or self._path.stat().st_size < BALLAST_MIN_BYTES:
                self._path.write_bytes(os.urandom(self._size(self._path.parent)))  # which no file system can compress
            if shutil.disk_usage(self._path.parent).free < beside:
                return False
        except OSError as error:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            if error.errno in _NO_SPACE:
                return False
            log.info("the spool does without ballast: %s", error)
        self.is_there = True
        return True

    def drop(self) -> None:
        """Give the space up."""
        if self._path is not None:
            self.is_there = False
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _size(self, folder: Path) -> int:
        """As much as on the first time; less where the whole disk is small."""
        if not self._bytes:
            self._bytes = max(BALLAST_MIN_BYTES, min(BALLAST_MAX_BYTES, shutil.disk_usage(folder).free // 4))
        return self._bytes


def open_file(
    path: Path, station: str, wait_s: float = OPEN_WAIT_S, *, ballast: bool = True
) -> tuple[SpoolFile, str | None]:
    """The spool of a station, made if there is none, and a sentence if it was damaged and mended."""
    if str(path) == MEMORY:
        return _open(path, station, wait_s), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(
            f"The folder {path.parent} can't be made: {error.strerror}; name another with --spools "
            "(in a program of your own: spool=)."
        ) from error
    real = _take(path)
    try:
        db, salvaged = _open_or_mend(path, station, wait_s)
    except BaseException:
        _open_here.discard(real)
        raise
    db.let_go = weakref.finalize(db, _open_here.discard, real)
    db.place, db.inode = real, real.stat().st_ino
    if ballast:
        db.ballast = Ballast(Path(f"{real}-ballast"))
        db.ballast.put()
    return db, salvaged


def _take(path: Path) -> Path:
    """The real path, now this process's to open. Does not touch the file."""
    real = path.resolve()
    with _opening:
        if real in _open_here:
            raise SpoolInUseError(
                f"The spool {path} is open in this process already. Use the client that has it; a second one that "
                "speaks as the same station needs a spool of its own."
            )
        _open_here.add(real)
    return real


def _open_or_mend(path: Path, station: str, wait_s: float) -> tuple[SpoolFile, str | None]:
    _check_header(path)
    try:
        return _open(path, station, wait_s), None
    except sqlite3.DatabaseError as error:
        if _is_held(error):
            raise SpoolInUseError(
                f"The spool {path} is open in another process. A station has one client; a second program that speaks "
                "as the same station needs a spool of its own."
            ) from error
        if isinstance(error, sqlite3.OperationalError):
            raise SpoolError(f"The spool {path} can't be opened: {error}.") from error
        return _mend(path, station, error)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite says in here, said as an error of ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise SpoolFullError(f"The disk of the spool {path} is full.") from error
        raise SpoolError(f"The spool {path} can't be used: {error}.") from error
    except sqlite3.ProgrammingError as error:
        raise SpoolError(f"The spool {path} is closed.") from error
    except sqlite3.DatabaseError as error:
        raise SpoolDamagedError(
            f"The spool {path} is damaged ({error}). Start the station's program again: what can be read is taken over."
        ) from error


def read_fate(id: str, fate: Any, reasons: bytes | None) -> SettledMessage:
    """A message's fate as it is stored."""
    return SettledMessage(fate, id=id, reasons=_reasons(reasons) if reasons else ())


def write_reasons(one: SettledMessage) -> bytes | None:
    """A fate's reasons as they are stored."""
    return msgspec.json.encode(one.reasons) if one.reasons else None


def _open(path: Path, station: str, wait_s: float) -> SpoolFile:
    """Raises sqlite3.DatabaseError for a file that is held or damaged."""
    db = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False, factory=SpoolFile)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        db.execute("BEGIN IMMEDIATE")  # takes the lock that it never gives back
        db.execute("COMMIT")
        _recognise(db, path, station)
        return db
    except BaseException:
        db.close()
        raise


def _recognise(db: sqlite3.Connection, path: Path, station: str) -> None:
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        db.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
    (found,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if found != APPLICATION_ID or version > VERSION:
        raise SpoolError(f"{path} is no spool, or one of a newer version. It is left as it is.")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    db.execute("INSERT INTO station (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM station)", (station,))
    (owner,) = db.execute("SELECT name FROM station").fetchone()
    if owner != station:
        raise SpoolError(f"The spool {path} holds what {owner} said; {station} needs a spool of its own.")


def _check_header(path: Path) -> None:
    """A file that never was a spool is left alone. One of zeros is what a power cut leaves of a new file."""
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except FileNotFoundError:
        return
    except OSError as error:
        raise SpoolError(f"The spool {path} can't be read: {error.strerror}.") from error
    if header.strip(b"\0") and header != HEADER:
        raise SpoolError(f"{path} is no spool. It is left as it is; name another file.")


def _is_held(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _mend(path: Path, station: str, error: sqlite3.DatabaseError) -> tuple[SpoolFile, str]:
    """Set the damaged file aside, for people to look at, and take over what can be read of it."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for companion in COMPANIONS:
        with suppress(FileNotFoundError):
            Path(f"{path}{companion}").rename(f"{aside}{companion}")
    db = _open(path, station, OPEN_WAIT_S)
    taken = sum(_take_over(db, rows) for rows in _readable(aside))
    text = f"The spool {path} was damaged ({error}); it is kept as {aside.name}. {taken} messages could be read of it."
    log.error(text)
    return db, text


def _readable(aside: Path) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The rows of a damaged file, from its begin up to the damage, and from its end back to it."""
    for direction in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(aside, timeout=OPEN_WAIT_S)) as damaged:
            yield iter(damaged.execute(f"SELECT {_COLUMNS} FROM message NOT INDEXED ORDER BY seq {direction}"))


def _take_over(db: sqlite3.Connection, rows: Iterator[tuple[Any, ...]]) -> int:
    """Copy rows until one can't be read; how many are new. Commits."""
    taken = 0
    db.execute("BEGIN IMMEDIATE")
    with suppress(sqlite3.DatabaseError):
        for row in rows:
            marks = ", ".join("?" * len(row))
            taken += db.execute(f"INSERT OR IGNORE INTO message ({_COLUMNS}) VALUES ({marks})", row).rowcount
    db.execute("COMMIT")
    return taken
