"""Database and broker together, as commands have them: begun when needed, kept alive, ended with the block."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from mes.embedded import cluster, ports
from mes.embedded.broker import answers
from mes.embedded.child import Process
from mes.embedded.parts import database, embedded
from mes.embedded.problems import PortTakenError
from mes.settings import Settings
from tests.embedded.programs import line, running, wait_until
from tests.parts import any_port

RUN_ALL = """
import asyncio, sys
from pathlib import Path
from mes.embedded.folder import sole_use
from mes.embedded.parts import embedded
from mes.embedded.processes import Supervisor, until_signalled
from mes.settings import Settings
from tests.parts import any_port
from tests.embedded.programs import SLEEPER

async def main(settings):
    async with until_signalled():
        with sole_use(settings.data_dir):
            async with (
                embedded(settings, any_port=True) as parts,
                Supervisor(settings.data_dir, parts.environment()) as services,
            ):
                await services.start("sleeper", SLEEPER)
                print(parts.database_url, parts.mqtt_url, *services.pids().values(), flush=True)
                await services.watch()

asyncio.run(main(Settings(data_dir=Path(sys.argv[1]))))
"""


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, database_url=None, mqtt_url=None, mqtt_port=any_port())


def postmaster(settings: Settings) -> Process | None:
    return cluster.postmaster(settings.data_dir / "postgres")


def broker(settings: Settings) -> Process | None:
    return Process.read(settings.data_dir / "broker.process")


async def accepts(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, ssl=False)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def until(answer: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await answer():  # noqa: ASYNC110  # there is no event to wait for: it is another process
            await asyncio.sleep(0.1)


async def test_both_live_as_long_as_the_block(settings: Settings) -> None:
    async with embedded(settings) as parts:
        assert parts.environment() == {"MES_DATABASE_URL": parts.database_url, "MES_MQTT_URL": parts.mqtt_url}
        assert await accepts(parts.database_url)
        assert parts.mqtt_url == f"mqtt://127.0.0.1:{settings.mqtt_port}"
        assert await answers(settings.mqtt_port)
    assert postmaster(settings) is None
    assert broker(settings) is None


async def test_what_the_settings_name_is_not_started(tmp_path: Path) -> None:
    named = Settings(data_dir=tmp_path, database_url="postgresql://there/mes", mqtt_url="mqtt://there")
    async with embedded(named) as parts, database(named) as url:
        assert (parts.database_url, parts.mqtt_url) == ("postgresql://there/mes", "mqtt://there")
        assert url == "postgresql://there/mes"
    assert not (tmp_path / "postgres").exists()


async def test_taken_broker_port_leaves_no_database_behind(settings: Settings) -> None:
    async with await asyncio.start_server(lambda *_: None, ports.HOST, settings.mqtt_port):
        with pytest.raises(PortTakenError, match=str(settings.mqtt_port)):
            async with embedded(settings):
                pass
    assert postmaster(settings) is None


async def test_killed_parts_come_back_at_their_addresses(settings: Settings) -> None:
    async with embedded(settings) as parts:
        for process in (postmaster(settings), broker(settings)):
            assert process is not None
            process.send(signal.SIGKILL)
            await until(lambda process=process: asyncio.to_thread(lambda: not process.alive))
        await until(lambda: accepts(parts.database_url))
        await until(lambda: answers(settings.mqtt_port))


async def test_command_uses_the_database_that_runs(settings: Settings) -> None:
    async with embedded(settings) as parts:
        async with database(settings) as url:
            assert url == parts.database_url
        assert await accepts(parts.database_url)


async def test_command_starts_the_database_for_the_while(settings: Settings) -> None:
    async with database(settings) as url:
        assert await accepts(url)
    assert postmaster(settings) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_lives_on(settings: Settings, number: signal.Signals) -> None:
    for _ in range(2):  # and what the first run left is no obstacle to the second
        with running(RUN_ALL, str(settings.data_dir)) as program:
            line(program)
            wait_until(lambda: "awake" in (settings.data_dir / "logs/sleeper.log").read_text())
            processes = [postmaster(settings), broker(settings)]
            processes.append(Process.read(settings.data_dir / "processes/sleeper.process"))
            program.send_signal(number)
            status = program.wait(timeout=20)
        assert status == (-number if number == signal.SIGKILL else 0)
        wait_until(lambda processes=processes: not any(one is None or one.alive for one in processes))


@pytest.mark.parametrize("after_s", [0.2, 0.6])
def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path, after_s: float) -> None:
    settings = Settings(data_dir=tmp_path)
    with running(RUN_ALL, str(settings.data_dir)) as program:
        wait_until((settings.data_dir / "mes.lock").exists)
        time.sleep(after_s)
        program.send_signal(signal.SIGINT)
        program.wait(timeout=20)
    assert postmaster(settings) is None
    assert broker(settings) is None
    with running(RUN_ALL, str(settings.data_dir)) as program:
        assert line(program).startswith("postgresql://")
        program.send_signal(signal.SIGINT)
        program.wait(timeout=20)
