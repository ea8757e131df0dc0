"""The data folder: made private, its secrets, and locks that end with the process that holds them."""

import asyncio
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from mes.embedded.problems import FolderInUseError, PartError


def prepare(data_dir: Path) -> Path:
    """Make the data folder, for its owner only, and give its absolute path."""
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PartError(f"The data folder {data_dir} can not be made: {error.strerror}.") from error
    return data_dir


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def secret(path: Path) -> str:
    """The secret kept in this file; made at random the first time."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def turn(lock: Path, within_s: float) -> AsyncIterator[None]:
    """Wait for our turn at something two commands must not do at once, such as starting the same server."""
    deadline = time.monotonic() + within_s
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise FolderInUseError(f"Another process has held {lock} for {within_s:.0f} s.")
            await asyncio.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


class SharedUse:
    """A mark that something is in use by this process; the kernel takes it away when the process ends."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark
        self._descriptor: int | None = None

    def join(self) -> None:
        """Begin to use it; twice is once."""
        if self._descriptor is None:
            self._descriptor = os.open(self._mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """End the use. True if nobody else uses it now; to be asked only where nobody can join meanwhile."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return True
        try:
            return _try_lock(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def sole_use(data_dir: Path) -> Iterator[None]:
    """Be the only `mes up` or `mes demo` of this folder. Raises FolderInUseError, naming the other's process."""
    lock = prepare(data_dir) / "mes.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(descriptor):
            holder = lock.read_text().strip() or "unknown"
            raise FolderInUseError(
                f"The services of {data_dir} run already (process {holder}). "
                "Stop that one, or choose another --data-dir."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
