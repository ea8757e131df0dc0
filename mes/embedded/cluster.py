"""The files of the embedded database: making them, and reading what a server left beside them."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from mes.embedded import folder
from mes.embedded.binaries import Binaries
from mes.embedded.child import Child, Process, born
from mes.embedded.identity import choose
from mes.embedded.problems import PartError

SUPERUSER = "mes"
MAKING_S = 300.0
RIDDANCE = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True)
class Pidfile:
    """What `postmaster.pid` tells: number, folder, start, port, socket folder, address, memory key, state."""

    pid: int
    port: int
    ready: bool

    @classmethod
    def read(cls, cluster: Path) -> "Pidfile | None":
        """None when there is no such file, or it is only half written."""
        try:
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), int(lines[3]), len(lines) > 7 and lines[7].strip() == "ready")
        except (OSError, ValueError, IndexError):
            return None


def postmaster(cluster: Path) -> Process | None:
    """The server that lives on this folder: the process of its pid file, unless that number is now someone else's."""
    found = Pidfile.read(cluster)
    birth = born(found.pid) if found else None
    if found is None or birth is None or not _works_in(found.pid, cluster):
        return None
    return Process(found.pid, birth)


def _works_in(pid: int, cluster: Path) -> bool:
    """Whether a process has the folder as its working folder, as a postmaster does. True where we can not see."""
    try:
        return Path(f"/proc/{pid}/cwd").stat().st_ino == cluster.stat().st_ino
    except PermissionError:
        return True
    except OSError:
        return not Path("/proc/self").exists()


def disown_pidfile(cluster: Path) -> None:
    """Make a dead server's pid file harmless when its number is used again, or its zombie lingers.

    PostgreSQL ignores the number of its own parent. The file is not removed: it also names the shared memory, by which
    PostgreSQL sees that orphans of the dead server still work on the files.
    """
    pidfile = cluster / "postmaster.pid"
    if pidfile.exists() and postmaster(cluster) is None:
        rest = pidfile.read_text().partition("\n")[2]
        pidfile.write_text(f"{os.getpid()}\n{rest}")


async def make(cluster: Path, binaries: Binaries, password: Path, log: Path, *, namespaces: bool) -> None:
    """Make a new cluster beside its place, then move it there: a half-made one is never taken for a whole one."""
    new = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    identity = choose(binaries, new, namespaces=namespaces)
    new.mkdir(mode=0o700, exist_ok=True)
    first_password = new.with_name(new.name + ".password")
    folder.write_private(first_password, folder.secret(password))
    os.chown(first_password, new.stat().st_uid, new.stat().st_gid)
    try:
        await _initdb(binaries, new, first_password, log, identity)
    finally:
        first_password.unlink(missing_ok=True)
    new.replace(cluster)


async def _initdb(binaries: Binaries, new: Path, password: Path, log: Path, identity: str) -> None:
    argv = [binaries.initdb, "--pgdata", str(new), "--username", SUPERUSER, "--pwfile", str(password)]
    argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    child = Child("initdb", argv, log, identity=identity)
    try:
        if not await child.ended(MAKING_S) or child.status != 0:
            raise PartError(f"PostgreSQL's initdb failed on {new}:\n{child.last_lines()}")
    finally:
        await child.stop(RIDDANCE, group=True)
