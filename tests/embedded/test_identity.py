"""As whom PostgreSQL runs: as ourselves, or when we are root as someone whom it does not refuse."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from mes.embedded import binaries
from mes.embedded.binaries import Binaries
from mes.embedded.identity import can_run, choose, namespace
from mes.embedded.postgres import Postgres
from mes.embedded.problems import PartError

ROOT = Path(__file__).parents[2]


def ordinary(uid: int) -> list[str]:
    """Become an ordinary user who still reaches this checkout and its environment, wherever they are."""
    return ["unshare", "--user", f"--map-user={uid}", f"--map-group={uid}"]


START_AND_ASK = """
import asyncio, asyncpg, os, sys
from pathlib import Path
from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres
async def main():
    assert os.geteuid() != 0
    async with (
        Postgres(Path(sys.argv[1]), durable=False).running() as url,
        Broker(Path(sys.argv[1]), exact=False).running() as broker,
    ):
        connection = await asyncpg.connect(url, ssl=False)
        print(await connection.fetchval("SELECT 6 * 7"), broker, flush=True)
        await connection.close()
asyncio.run(main())
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become someone else")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="mes-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def programs() -> Binaries:
    """Programs that every user may execute."""
    found = [one for one in binaries.system() if one.major >= binaries.OLDEST_MAJOR]
    if not found:
        pytest.skip("no PostgreSQL that every user can execute is installed on this machine")
    return found[0]


async def works(server: Postgres) -> bool:
    async with server.running() as url:
        connection = await asyncpg.connect(url, ssl=False)
        try:
            return bool(await connection.fetchval("SELECT true"))
        finally:
            await connection.close()


@as_root
async def test_root_uses_a_namespace_where_only_root_reaches_the_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    if not can_run(namespace(), "/bin/true"):
        pytest.skip("user namespaces are forbidden here")
    server = Postgres(closed / "data", durable=False)
    assert await works(server)
    assert server.cluster.stat().st_uid == 0


@as_root
async def test_root_without_namespaces_gives_the_folder_to_an_unprivileged_user(open_folder: Path) -> None:
    data_dir = open_folder / "data"
    server = Postgres(data_dir, durable=False, programs=programs(), namespaces=False)
    assert await works(server)
    assert server.cluster.stat().st_uid != 0
    assert await works(Postgres(data_dir, durable=False)), "and later runs it as that user, who owns it now"


@as_root
async def test_folder_that_root_made_goes_on_where_namespaces_are_forbidden(open_folder: Path) -> None:
    data_dir = open_folder / "data"
    assert await works(Postgres(data_dir, durable=False, programs=programs()))
    assert await works(Postgres(data_dir, durable=False, programs=programs(), namespaces=False))


@as_root
async def test_root_is_told_the_way_out_where_nobody_else_reaches_the_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(PartError, match=r"out of reach[^-]*--data-dir"):
        await Postgres(closed / "data", programs=programs(), namespaces=False).start()


@pytest.mark.parametrize("known", [True, False], ids=["known to the system", "a number only"])
def test_ordinary_user_starts_everything(open_folder: Path, known: bool) -> None:
    command = [sys.executable, "-c", START_AND_ASK, str(open_folder / "data")]
    if os.geteuid() == 0:
        if not can_run(namespace(), "/bin/true"):
            pytest.skip("user namespaces are forbidden here, so root can not become an ordinary user")
        command = [*ordinary(pwd.getpwnam("nobody").pw_uid if known else 432100), *command]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.stdout.startswith("42 mqtt://127.0.0.1:"), done.stdout + done.stderr


def test_ordinary_user_stays_who_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    assert choose(Binaries(Path("/nowhere"), 18), tmp_path / "postgres") == "self"
