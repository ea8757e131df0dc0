"""The PostgreSQL server as it is set and as it stands: what `mes doctor` judges."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.partitions import PARTITIONED
from mes.db.tables import metadata

CONNECT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """What the server answers a client that sets nothing itself. `settings` are as `SHOW` has them."""

    version: int
    settings: dict[str, str]
    in_recovery: bool
    read_only: bool
    encoding: str
    has_btree_gist: bool
    can_have_btree_gist: bool
    longest_writer_s: float
    database_bytes: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Ahead:
    """Partitions of the next months, by name, that are not there; rows that fell into a default partition, by table."""

    missing: list[str]
    stray_tables: list[str]


@dataclass(frozen=True, slots=True)
class Tables:
    """The model's tables as our role finds them: which are there; by right, those on which it lacks what we need.

    `foreign` are those whose partitions it can't make, for it does not own them.
    """

    missing: list[str]
    lacking: dict[str, list[str]]
    foreign: list[str]


APPEND_ONLY: Final = frozenset(("journal", "journal_position", "journal_subject"))
DELETED_FROM: Final = frozenset(("attempt", "excursion", "in_hand", "login", "run", "sample_chunk"))
"""Where the MES takes rows away. All else it writes and changes; what is append-only it writes alone."""
SETTINGS: Final = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "autovacuum",
    "idle_in_transaction_session_timeout",
    "max_connections",
)
_SERVER: Final = """
    SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
           current_setting('transaction_read_only')::bool, getdatabaseencoding(),
           EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist'),
           EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist'),
           (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
            FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()),
           pg_database_size(current_database()), clock_timestamp()
"""
_NEEDED: Final = {
    "SELECT": metadata.tables.keys(),
    "INSERT": metadata.tables.keys(),
    "UPDATE": metadata.tables.keys() - APPEND_ONLY,
    "DELETE": DELETED_FROM,
}
_LACKING: Final = "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE NOT has_table_privilege(name, :right)"
_THERE: Final = "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"
_FOREIGN: Final = """
    SELECT relname FROM pg_class
    WHERE oid = ANY(CAST(CAST(:names AS text[]) AS regclass[])) AND NOT pg_has_role(relowner, 'USAGE')
"""
_STRAY: Final = " UNION ALL ".join(
    f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table}_default)" for table in PARTITIONED
)


async def look_at_server(url: str) -> Server:
    """Ask the server, over a connection that sets nothing. Raises what asyncpg raises where it can't be reached."""
    connection = await asyncpg.connect(url, timeout=CONNECT_S, server_settings={"application_name": "mes doctor"})
    try:
        settings = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in SETTINGS}
        row = await connection.fetchrow(_SERVER)
        version, *stands = row
        return Server(version, settings, *stands)
    finally:
        await connection.close()


async def look_at_tables(connection: AsyncConnection) -> Tables:
    """Whether the model's tables are there, and our role may do with them what the MES does."""

    async def asked(statement: str, names: Collection[str], **told: str) -> list[str]:
        found = await connection.execute(text(statement), {"names": sorted(names), **told})
        return sorted(found.scalars())

    there = set(await asked(_THERE, metadata.tables.keys()))
    lacking = {right: await asked(_LACKING, names & there, right=right) for right, names in _NEEDED.items()}
    foreign = await asked(_FOREIGN, there.intersection(PARTITIONED))
    return Tables(
        sorted(metadata.tables.keys() - there), {right: names for right, names in lacking.items() if names}, foreign
    )


async def look_ahead(connection: AsyncConnection, at: datetime) -> Ahead:
    """Whether next month's runs and samples have a place, and nothing fell beside its own."""
    month = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=1)
    wanted = {f"{table}_{one:%Y_%m}" for table in PARTITIONED for one in (at, month)}
    there = set((await connection.execute(text("SELECT relname FROM pg_class WHERE relispartition"))).scalars())
    stray = list((await connection.execute(text(_STRAY))).scalars())
    return Ahead(sorted(wanted - there), stray)
