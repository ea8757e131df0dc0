"""What every test can ask for: a migrated database of its own, an empty one, a broker of its own.

A part that is missing on a machine makes its tests skip, saying so. With MES_TESTS_ALL=1 a skip is a failure: that is
how it is made sure that somewhere all of them run.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres
from tests import parts
from tests.stage import Stage

settings.register_profile("mes", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mes")  # a machine that stalls for a moment says nothing of the code

Report = pytest.TestReport | pytest.CollectReport

PROCESSES_MAX = 4
"""Each has a PostgreSQL server of its own."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in as many processes as there are cores; what somebody names runs in this one."""
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, PROCESSES_MAX) if is_whole else 0


def no_skip(report: Report) -> Report:
    """Turn a skip into a failure where every test must run."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("MES_TESTS_ALL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"MES_TESTS_ALL=1 allows no skipped test: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Report, Report]:
    """One test, or its fixtures."""
    return no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Report, Report]:
    """A whole file that skips itself."""
    return no_skip((yield))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The session's PostgreSQL server."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), durable=False)
    parts.run(server.start())
    yield server
    parts.run(server.stop())


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """Name of the database that was brought to the newest schema by the real migrations, to be copied by tests."""
    parts.run(parts.execute(postgres, f"CREATE DATABASE {parts.TEMPLATE}"))
    with ThreadPoolExecutor(1) as thread:  # for it runs an event loop of its own
        thread.submit(upgrade, postgres.url_of(parts.TEMPLATE)).result()
    return parts.TEMPLATE


@pytest.fixture
def database_url(postgres: Postgres, migrated: str) -> Iterator[str]:
    """A migrated database for this test alone: postgresql://…"""
    url = parts.make_database(postgres, migrated)
    yield url
    parts.drop_database(postgres, url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own database, migrated."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def stage(database: Database) -> Stage:
    """A small floor on the test's own database."""
    stage = Stage(database)
    await stage.set_up()
    return stage


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database without tables for this test alone."""
    url = parts.make_database(postgres)
    yield url
    parts.drop_database(postgres, url)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A fresh broker for this test alone: Mosquitto where it is installed, else amqtt."""
    broker = Broker(tmp_path / "broker", parts.any_port(), exact=False)
    parts.run(broker.start())
    yield broker
    parts.run(broker.stop())


@pytest.fixture
def broker_url(broker: Broker) -> str:
    """Address of the test's broker: mqtt://127.0.0.1:…"""
    return broker.url
