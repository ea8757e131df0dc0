"""The doctor on a real PostgreSQL: what is wrong with it is found, each with what to do."""

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url

import mes
from mes.commands.act import Act
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.db.migrate import pending
from mes.db.sequencer import number
from mes.db.server import DELETED_FROM
from mes.db.session import Database
from mes.db.stations import Heard, note_heard
from mes.doctor import database as doctor
from mes.doctor.examination import examine
from mes.doctor.findings import Finding
from mes.embedded.postgres import Postgres
from mes.settings import Settings

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, pool_size=2)
    yield opened
    await opened.close()


async def examined(url: str) -> dict[str, Finding]:
    return {one.check: one for one in await doctor.examine_database(url, "main")}


async def test_the_tests_own_server_is_not_durable_and_all_else_is_fine(database_url: str) -> None:
    """It does not sync to disk, so that tests are fast."""
    found = await examined(database_url)
    assert {name for name, one in found.items() if one.level == "error"} == {"durability"}
    assert "fsync = on" in found["durability"].advice
    assert {"reachable", "version", "btree_gist", "timeouts", "migrations", "numbering", "partitions"} <= found.keys()
    assert all(one.advice for one in found.values() if one.level != "fine")


async def test_a_durable_server_is_fine(tmp_path: Path) -> None:
    async with Postgres(tmp_path).running() as url:
        found = await examined(url)
    assert found["durability"].level == "fine"
    assert found["migrations"].level == "error"
    assert "mes migrate" in found["migrations"].advice


async def test_a_server_that_is_not_there() -> None:
    found = await examined("postgresql://nobody@127.0.0.1:1/none")
    assert [(one.check, one.level) for one in found.values()] == [("reachable", "error")]


async def test_a_database_that_commits_before_it_syncs(database_url: str, database: Database) -> None:
    """Set for the database, where SHOW on another connection would not tell."""
    admin = await asyncpg.connect(database_url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await admin.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = 0")
    await admin.close()
    found = await examined(database_url)
    assert "synchronous_commit" in found["durability"].advice
    assert found["timeouts"].level == "warning"


async def test_an_entry_that_gets_no_position(database: Database) -> None:
    async with database.transaction() as connection:
        calendar = LineCalendar("UTC")
        await put_line(connection, "L1", calendar, [StationOfLine("ct-01", "cable-test")], Act("main", "test", AT))
    found = (await examined(database.url))["numbering"]
    assert found.level == "error"
    assert "mes feeds" in found.advice
    while await number(database):
        pass
    assert (await examined(database.url))["numbering"].level == "fine"


async def test_partitions_that_are_missing_or_were_missed(database: Database) -> None:
    next_month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).strftime("%Y_%m")
    admin = await asyncpg.connect(database.url)
    await admin.execute(f"DROP TABLE run_{next_month}")
    await admin.execute("ALTER TABLE sample_chunk_default DISABLE TRIGGER ALL")
    columns = await admin.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
        "WHERE attrelid = 'sample_chunk'::regclass AND attnum > 0 AND attnotnull AND NOT atthasdef"
    )
    values = ", ".join(VALUES[row["type"]] for row in columns)
    names = ", ".join(row["attname"] for row in columns)
    await admin.execute(f"INSERT INTO sample_chunk ({names}) SELECT {values}")
    await admin.close()
    found = await examined(database.url)
    assert f"run_{next_month}" in found["partitions"].text
    assert found["partitions"].level == "error"
    assert "sample_chunk" in found["default partition"].text


VALUES = {
    "uuid": "'00000000-0000-7000-8000-000000000000'::uuid",
    "text": "'x'",
    "timestamp with time zone": "now()",
    "double precision": "1",
    "double precision[]": "'{1}'",
    "real[]": "'{1}'",
    "integer": "1",
    "bigint": "1",
    "bytea": "'x'",
    "tstzrange": "tstzrange(now(), NULL)",
    "boolean": "true",
    "uuid[]": "'{}'",
}
"""Something of each type, for a row that only has to be there."""


async def test_stations_whose_clock_is_wrong_are_named(database: Database) -> None:
    stations = [StationOfLine(f"ct-0{n}", "cable-test") for n in (1, 2, 3)]
    async with database.transaction() as connection:
        await put_line(connection, "L1", LineCalendar("UTC"), stations, Act("main", "test", AT))
        await note_heard(
            connection, [Heard("ct-01", AT, 90.0), Heard("ct-02", AT, -3600.0), Heard("ct-03", AT, -1.7e9)]
        )
    found = (await examined(database.url))["clocks"]
    assert found.level == "warning"
    assert "2, the worst: ct-03 not set, ct-01 90 s ahead." in found.text
    assert "ct-02" not in found.text


async def test_a_schema_of_a_newer_version(database_url: str, database: Database) -> None:
    await changed(database_url, "UPDATE alembic_version SET version_num = '0999'")
    found = (await examined(database_url))["migrations"]
    assert (found.level, "newer than this program" in found.text, "0999" in found.text) == ("error", True, True)
    assert "Install the version" in found.advice
    (told,) = await pending(database)  # what /readyz says
    assert told == "0999 is newer than this program: install that version"


async def test_a_role_without_rights_is_a_finding_and_not_the_end(database_url: str) -> None:
    async with role(database_url) as url:
        found = await examined(url)
        assert (found["migrations"].level, found["privileges"].level) == ("error", "error")
        assert found["migrations"].text.endswith("permission denied for table alembic_version")
        assert found["durability"].level == "error", "what else can be seen is still looked at"
        using = Settings(database_url=url, mqtt_url="mqtt://127.0.0.1:1")
        alone = await examine(using, {}, [], ["journal"])
    assert {(one.area, one.level) for one in alone} == {("journal", "error")}, "asked for alone, it is not fine"


async def test_a_role_that_may_only_read(database_url: str) -> None:
    async with role(database_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}") as url:
        found = (await examined(url))["privileges"]
    assert found.level == "error"
    for right in ("INSERT on account", "UPDATE on account", "DELETE on attempt"):
        assert right in found.text
    assert "SELECT on" not in found.text
    assert "GRANT" in found.advice


async def test_a_role_that_may_write_but_owns_nothing(database_url: str) -> None:
    grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}"
    async with role(database_url, grants) as url:
        found = (await examined(url))["privileges"]
    assert (found.level, "run, sample_chunk" in found.text) == ("warning", True)


async def test_a_table_that_was_dropped(database_url: str) -> None:
    await changed(database_url, "DROP TABLE inbox CASCADE")
    found = (await examined(database_url))["migrations"]
    assert (found.level, found.text.endswith("tables are missing: inbox.")) == ("error", True)


async def test_a_database_that_is_read_only(database_url: str) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    await changed(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert (await examined(database_url))["read-only"].level == "error"


async def test_a_broken_check_holds_up_no_other(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> NoReturn:
        raise KeyError("not foreseen")

    monkeypatch.setattr(doctor, "unnumbered", broken)
    found = await examined(database_url)
    assert (found["numbering"].level, "not foreseen" in found["numbering"].text) == ("error", True)
    assert (found["partitions"].level, found["clocks"].level) == ("fine", "fine")


def test_the_tables_that_rows_are_deleted_from_are_those_of_the_code() -> None:
    code = "\n".join(file.read_text() for file in Path(mes.__file__).parent.rglob("*.py"))
    written = set(re.findall(r"DELETE FROM ([a-z_]+)", code))
    assert written <= DELETED_FROM


async def changed(url: str, statement: str) -> None:
    """One statement of somebody else's."""
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def role(url: str, grant: str = "SELECT '{}'") -> AsyncIterator[str]:
    """The database's address for a new role with these rights, for as long as the block lasts."""
    name = f"clerk_{secrets.token_hex(4)}"
    await changed(url, f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    try:
        await changed(url, grant.format(name))
        yield make_url(url).set(username=name, password="x").render_as_string(hide_password=False)
    finally:
        await changed(url, f"DROP OWNED BY {name}")
        await changed(url, f"DROP ROLE {name}")
