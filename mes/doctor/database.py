"""The database: there, new enough, migrated, durable, and its journal keeping up."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from mes.db.migrate import Schema, look_at_schema
from mes.db.sequencer import Backlog, unnumbered
from mes.db.server import Ahead, Server, Tables, look_ahead, look_at_server, look_at_tables
from mes.db.session import Database
from mes.doctor.findings import Finding, guarded
from mes.queries.health import clocks_wrong

AREA: Final = "database"
JOURNAL: Final = "journal"
VERSION_MIN: Final = 15
CONNECTIONS_MIN: Final = 60
"""What the four processes may open together, with a reserve for people."""
UNNUMBERED_MAX_S: Final = 30.0
WRITER_MAX_S: Final = 60.0
CLOCK_MAX_S: Final = 1.0
STATION_CLOCK_MAX_S: Final = 5.0
STATIONS_NAMED: Final = 5
GRANT: Final = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public to the role of MES_DATABASE_URL. Better let "
    "it own them: run `mes migrate` as that role from the first."
)
DURABLE: Final = {
    "fsync": "A crash of the machine would lose or break what was committed.",
    "full_page_writes": "A crash of the machine could leave torn pages.",
    "synchronous_commit": "A crash would lose what stations have a receipt for.",
}


async def examine_database(url: str, site: str) -> list[Finding]:
    """Every check of the database and the journal; later ones are left out where earlier ones make them pointless."""
    try:
        server = await look_at_server(url)
    except Exception as error:  # whatever it is, it is the finding
        text = f"It can't be reached: {str(error) or type(error).__name__}"
        return [Finding(AREA, "reachable", "error", text, "Is it running, and is MES_DATABASE_URL right?")]
    found = [Finding(AREA, "reachable", "fine", "It answers."), *_of_server(server), _clock(server, datetime.now(UTC))]
    database = Database(url, site=site, pool_size=1)
    try:
        found += await guarded(AREA, "privileges", _privileges(database), GRANT)
        found += (migrated := await guarded(AREA, "migrations", _migrations(database), GRANT))
        if all(one.level == "fine" for one in migrated):
            found += await guarded(JOURNAL, "numbering", _of_journal(database, server), GRANT)
            found += await guarded(AREA, "partitions", _of_partitions(database, server), GRANT)
            found += await guarded("stations", "clocks", _station_clocks(database, site), GRANT)
    finally:
        await database.close()
    return found


def _of_server(server: Server) -> Iterator[Finding]:
    major = server.version // 10_000
    if major < VERSION_MIN:
        yield Finding(AREA, "version", "error", f"PostgreSQL {major}.", f"Use PostgreSQL {VERSION_MIN} or newer.")
    else:
        yield Finding(AREA, "version", "fine", f"PostgreSQL {major}.")
    if server.in_recovery:
        text = "MES_DATABASE_URL names a standby, which takes no facts."
        yield Finding(AREA, "primary", "error", text, "Name the primary.")
    elif server.read_only:
        text = "Transactions are read-only for this role or database: no fact can be taken."
        advice = "ALTER DATABASE … (or ROLE …) RESET default_transaction_read_only. Or does the URL name a standby?"
        yield Finding(AREA, "read-only", "error", text, advice)
    if server.encoding != "UTF8":
        text = f"Its encoding is {server.encoding}."
        yield Finding(AREA, "encoding", "error", text, "Make the database anew with ENCODING 'UTF8'.")
    yield _btree_gist(server)
    yield _durable(server)
    yield _timeout(server)
    yield _connections(server)
    if server.settings["autovacuum"] != "on":
        yield Finding(AREA, "autovacuum", "error", "autovacuum is off.", "Switch it on: tables would grow without end.")


def _btree_gist(server: Server) -> Finding:
    if server.has_btree_gist:
        return Finding(AREA, "btree_gist", "fine", "The extension btree_gist is there.")
    if server.can_have_btree_gist:
        return Finding(AREA, "btree_gist", "warning", "btree_gist is not created yet.", "`mes migrate` creates it.")
    text = "The server has no extension btree_gist."
    return Finding(AREA, "btree_gist", "error", text, "Install PostgreSQL's contrib modules.")


def _durable(server: Server) -> Finding:
    off = [name for name in DURABLE if server.settings[name] == "off"]
    if not off:
        return Finding(AREA, "durability", "fine", "What is committed outlives a crash.")
    text = " ".join(f"{name} is off. {DURABLE[name]}" for name in off)
    return Finding(AREA, "durability", "error", text, f"Set {', '.join(f'{name} = on' for name in off)}.")


def _timeout(server: Server) -> Finding:
    name = "idle_in_transaction_session_timeout"
    if server.settings[name] != "0":
        return Finding(AREA, "timeouts", "fine", f"{name} is {server.settings[name]}.")
    text = f"{name} is 0: a transaction that someone leaves open, in any database of the server, stops the journal."
    return Finding(
        AREA, "timeouts", "warning", text, f"ALTER SYSTEM SET {name} = '30s'; the MES's own have it already."
    )


def _connections(server: Server) -> Finding:
    most = int(server.settings["max_connections"])
    if most >= CONNECTIONS_MIN:
        return Finding(AREA, "connections", "fine", f"max_connections is {most}.")
    text = f"max_connections is {most}; the processes of the MES may open more together."
    return Finding(AREA, "connections", "warning", text, f"Set max_connections = {CONNECTIONS_MIN} or more.")


def _clock(server: Server, now: datetime) -> Finding:
    # The server's answer is some milliseconds old; what matters here are seconds.
    apart_s = (now - server.now).total_seconds()
    if abs(apart_s) <= CLOCK_MAX_S:
        return Finding("machine", "clock", "fine", f"This clock and the database's are {abs(apart_s):.2f} s apart.")
    text = f"This machine's clock is {abs(apart_s):.1f} s {'ahead of' if apart_s > 0 else 'behind'} the database's."
    return Finding("machine", "clock", "error", text, "Have both follow the same time server (chrony, ntpd).")


async def _station_clocks(database: Database, site: str) -> list[Finding]:
    async with database.reading() as connection:
        return [_of_clocks(await clocks_wrong(connection, site, STATION_CLOCK_MAX_S))]


def _of_clocks(wrong: Sequence[tuple[str, float]]) -> Finding:
    if not wrong:
        text = "No station's clock was ahead of ours, or not set, when it was last heard."
        return Finding("stations", "clocks", "fine", text)
    named = ", ".join(f"{name} {_wrong_by(skew_s)}" for name, skew_s in wrong[:STATIONS_NAMED])
    text = f"Clocks of stations that are ahead of ours or not set: {len(wrong)}, the worst: {named}."
    advice = "Have them follow a time server. What they say counts as of its arrival, with the deviation clock_skew."
    return Finding("stations", "clocks", "warning", text, advice)


def _wrong_by(skew_s: float) -> str:
    return f"{skew_s:.0f} s ahead" if skew_s > 0 else "not set"


async def _privileges(database: Database) -> list[Finding]:
    async with database.reading() as connection:
        return list(_of_privileges(await look_at_tables(connection)))


def _of_privileges(tables: Tables) -> Iterator[Finding]:
    check = "privileges"
    if tables.lacking:
        lacks = "; ".join(f"{right} on {', '.join(names)}" for right, names in tables.lacking.items())
        yield Finding(AREA, check, "error", f"The role of MES_DATABASE_URL lacks {lacks}.", GRANT)
    elif tables.foreign:
        text = f"The role of MES_DATABASE_URL does not own {', '.join(tables.foreign)}: it can't make their partitions."
        advice = "Make it the owner of all tables. Or run `mes migrate` as their owner each month, before it is over."
        yield Finding(AREA, check, "warning", text, advice)
    else:
        yield Finding(AREA, check, "fine", "The role may do with the tables what the MES does.")


async def _migrations(database: Database) -> list[Finding]:
    schema = await look_at_schema(database)
    async with database.reading() as connection:
        tables = await look_at_tables(connection)
    return [_of_schema(schema, tables)]


def _of_schema(schema: Schema, tables: Tables) -> Finding:
    if schema.unknown:
        text = f"The schema is newer than this program: it does not know {', '.join(schema.unknown)}."
        return Finding(AREA, "migrations", "error", text, "Install the version that migrated it.")
    if schema.missing:
        text = f"{len(schema.missing)} migrations are missing."
        return Finding(AREA, "migrations", "error", text, "Run `mes migrate`.")
    if tables.missing:
        text = f"The schema says it is of this version, but tables are missing: {', '.join(tables.missing)}."
        advice = "Does MES_DATABASE_URL name the right database and search_path? Else bring them back from a backup."
        return Finding(AREA, "migrations", "error", text, advice)
    return Finding(AREA, "migrations", "fine", "The schema is of this version.")


async def _of_journal(database: Database, server: Server) -> Iterator[Finding]:
    async with database.reading() as connection:
        return _of_backlog(await unnumbered(connection), server)


def _of_backlog(backlog: Backlog, server: Server) -> Iterator[Finding]:
    if backlog.oldest_age_s <= UNNUMBERED_MAX_S:
        yield Finding(JOURNAL, "numbering", "fine", f"{backlog.entries} entries wait for their position.")
    else:
        text = f"{backlog.entries} entries have no position, the oldest since {backlog.oldest_age_s:.0f} s."
        advice = "Does `mes feeds` run? Else a transaction is held open: see pg_stat_activity."
        yield Finding(JOURNAL, "numbering", "error", text, advice)
    if server.longest_writer_s > WRITER_MAX_S:
        text = f"A transaction has been writing for {server.longest_writer_s:.0f} s; no newer entry gets a position."
        yield Finding(JOURNAL, "open writer", "warning", text, "Find it in pg_stat_activity (backend_xid is set).")


async def _of_partitions(database: Database, server: Server) -> Iterator[Finding]:
    async with database.reading() as connection:
        return _of_ahead(await look_ahead(connection, server.now.astimezone(UTC)))


def _of_ahead(ahead: Ahead) -> Iterator[Finding]:
    if ahead.missing:
        text = f"Partitions are missing: {', '.join(ahead.missing)}."
        yield Finding(AREA, "partitions", "error", text, "Does `mes ingest` run? It makes them; so does `mes migrate`.")
    else:
        yield Finding(AREA, "partitions", "fine", "Next month's partitions are there.")
    if ahead.stray_tables:
        text = f"Rows fell into the default partition of {', '.join(ahead.stray_tables)}."
        advice = "Was this machine's clock wrong, or ingest away for months? They are kept, but never dropped by month."
        yield Finding(AREA, "default partition", "error", text, advice)
