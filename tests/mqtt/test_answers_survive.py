"""Asks that meet a process that answers, or a database, which goes away."""

import asyncio
from typing import Any

import asyncpg
import pytest

from mes.embedded.broker import Broker
from tests.mqtt.line import Answerer, codes, entries
from tests.parts import needs_mosquitto
from tests.stage import Stage


async def test_asks_outlive_the_process_that_answers(stage: Stage, asker: Any, answerer: Answerer) -> None:
    await stage.release("T1")
    station = await asker("as-1")
    payload = station.event("a1", "T1", "build")
    await station.say(payload)
    first = await station.hear("a1")
    assert not (await station.ask("a2", "T1", "test"))["granted"]  # by now the first is acknowledged
    await answerer.kill()
    await station.say(station.event("a3", "T1", "test"))
    await asyncio.sleep(0.5)
    await answerer.start()
    answer = await station.hear("a3")
    assert codes(answer) == ["wrong_station_kind", "predecessor_open", "as_built_incomplete"]
    assert "a1" not in station.heard[2:]
    await station.say(payload)
    again = await station.hear("a1")
    assert again | {"valid_s": 300} == first
    assert 0 < again["valid_s"] <= first["valid_s"], "what is left of it"
    assert await entries(stage) == 3


async def test_asks_survive_a_database_that_goes_away(
    stage: Stage, asker: Any, database_url: str, broker: Broker
) -> None:
    needs_mosquitto(broker)
    serials = [f"T{number}" for number in range(40)]
    await stage.release(*serials)
    station = await asker("as-1")
    cutting = asyncio.create_task(cut_connections(database_url))
    for serial in serials:
        await station.say(station.event(f"a-{serial}", serial, "build"))
    answers = [await station.hear(f"a-{serial}") for serial in serials]
    await cutting
    assert all(answer["granted"] for answer in answers)
    assert await entries(stage) == 40


async def test_nothing_is_answered_while_the_database_is_away(
    stage: Stage, asker: Any, database_url: str, broker: Broker
) -> None:
    """Silence: the station stops or goes on, as its step says. What was asked is answered when the database is back."""
    needs_mosquitto(broker)
    await stage.release("T1")
    station = await asker("as-1")
    address, _, name = database_url.rpartition("/")
    await shut(f"{address}/postgres", name, to_all=True)
    await station.say(station.event("a1", "T1", "build"))
    with pytest.raises(TimeoutError):
        await station.hear("a1", 2)
    await shut(f"{address}/postgres", name, to_all=False)
    assert (await station.hear("a1"))["granted"]
    assert await entries(stage) == 1


async def shut(server_url: str, name: str, *, to_all: bool) -> None:
    """Let nobody use a database, or everybody again."""
    connection = await asyncpg.connect(server_url, ssl=False)
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {not to_all}")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    finally:
        await connection.close()


async def cut_connections(database_url: str) -> None:
    """Ends the MES's connections to the database, again and again."""
    connection = await asyncpg.connect(database_url, ssl=False)
    try:
        for _ in range(8):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'mes'"
            )
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
