"""What every test can ask for: a migrated database of its own, an empty one, a broker of its own.

A part that is missing on a machine makes its tests skip, saying so. With MES_TESTS_ALL=1 a skip is a failure: that is
how it is made sure that somewhere all of them run.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres
from tests import parts


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Report a skip as a failure where every test must run."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("MES_TESTS_ALL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"MES_TESTS_ALL=1 allows no skipped test: {reason}"
    return report


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
    try:
        from mes.db.migrate import upgrade
    except ImportError:
        return parts.TEMPLATE
    upgrade(postgres.url_of(parts.TEMPLATE))
    return parts.TEMPLATE


@pytest.fixture
def database_url(postgres: Postgres, migrated: str) -> Iterator[str]:
    """A migrated database for this test alone: postgresql://…"""
    url = parts.make_database(postgres, migrated)
    yield url
    parts.drop_database(postgres, url)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database without tables for this test alone."""
    url = parts.make_database(postgres)
    yield url
    parts.drop_database(postgres, url)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A fresh broker for this test alone: Mosquitto where it is installed, else amqtt."""
    broker = Broker(tmp_path / "broker", exact=False)
    parts.run(broker.start())
    yield broker
    parts.run(broker.stop())


@pytest.fixture
def broker_url(broker: Broker) -> str:
    """Address of the test's broker: mqtt://127.0.0.1:…"""
    return broker.url
