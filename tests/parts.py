"""The real PostgreSQL and brokers that tests run against: one server for the session, a database for each test."""

import asyncio
import itertools
import socket
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest

from mes.embedded.broker import Broker
from mes.embedded.postgres import Postgres

T = TypeVar("T")
TEMPLATE = "template_mes"
numbers = itertools.count(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from a fixture that is not one, leaving pytest-asyncio's loops alone."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


async def execute(postgres: Postgres, statement: str) -> None:
    """Run one statement in the server's maintenance database."""
    connection = await asyncpg.connect(postgres.url_of("postgres"), ssl=False)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def make_database(postgres: Postgres, template: str = "template1") -> str:
    """Make a database of its own for one test and give its address."""
    name = f"test_{next(numbers)}"
    # Copying files is four times as fast as writing them to the log where nothing is synced to disk.
    run(execute(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    return postgres.url_of(name)


def drop_database(postgres: Postgres, url: str) -> None:
    """Drop a test's database, whatever is still connected to it."""
    run(execute(postgres, f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)"))


def any_port() -> int:
    """A free port that no other run of the tests on this machine is about to take: the system picks it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, within_s: float) -> None:
    """Wait until something on this machine listens there."""
    deadline = time.monotonic() + within_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on port {port} after {within_s:.0f} s"
        time.sleep(0.05)


def needs_mosquitto(broker: Broker) -> None:
    """Skip what amqtt can not do: redeliver what was not acknowledged, or speak MQTT 5."""
    if broker.kind != "mosquitto":
        pytest.skip("mosquitto is not installed, and amqtt can not do this")
