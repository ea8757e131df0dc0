"""`mes traces`: units' traces sent again, and where their feed stands."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from mes.console.running import fail, run_until_done, with_parts
from mes.db.feeds import START, move, position_of
from mes.db.lookup import find_unit
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.feeds.traces import NAME, export, export_unit
from mes.metrics import Metrics
from mes.queries.health import vitals
from mes.services import open_database
from mes.settings import Settings, open_telemetry, settings
from mes.tracing import NotSent, UnitSpans

END: Final = "end"

traces = typer.Typer(no_args_is_help=True, help="Units' traces, as they are sent over OpenTelemetry.")


@traces.command("export")
def export_traces(
    serial: Annotated[str | None, typer.Argument(help="Send the whole trace of this unit only.")] = None,
    part: Annotated[str | None, typer.Option(help="Settles a serial that several parts share.")] = None,
    first: Annotated[int, typer.Option("--from", min=0, help="First position of the journal to send.")] = 0,
    last: Annotated[int | None, typer.Option("--to", min=0, help="Last position; without it all there are.")] = None,
) -> None:
    """Send spans (again), with the ids they always have. The feed goes on from where it is."""
    wanted = open_telemetry()
    if not wanted.wanted or wanted.problem:
        fail(wanted.problem or "No receiver is set. Set OTEL_EXPORTER_OTLP_ENDPOINT, such as http://127.0.0.1:4318.")

    async def sent(database: Database, using: Settings) -> str:
        spans = UnitSpans(using.site, Metrics())
        try:
            if serial is None:
                count, position = await export(database, spans, first - 1, last)
                return f"{count} spans were sent, up to position {position}."
            async with database.reading() as connection:
                unit = await find_unit(connection, serial, part)
            return f"{await export_unit(database, spans, unit.id)} spans were sent."
        finally:
            spans.close()

    _say(sent)


@traces.command("position")
def feed_position(
    to: Annotated[str | None, typer.Argument(help="A position, or `end`: go on behind it. -1: from the start.")] = None,
) -> None:
    """Print how far the feed of traces has come, or set it: what is before is not sent, what is behind is (again)."""
    if to is not None and to != END and not to.removeprefix("-").isdecimal():
        fail(f"{to} is no position: give a number, or `{END}`.")

    async def told(database: Database, _: Settings) -> str:
        async with database.transaction() as connection:
            if to is not None:
                newest = (await vitals(connection)).journal_entries - 1
                position = newest if to == END else int(to)
                if not START <= position <= newest:
                    fail(f"The journal's positions go up to {newest}.")
                await move(connection, NAME, position, datetime.now(UTC))
            return str(await position_of(connection, NAME))

    _say(told)


def _say(work: Callable[[Database, Settings], Awaitable[str]]) -> None:
    """Do something with the database in use, and print what came of it."""

    async def worked(using: Settings) -> None:
        database = await open_database(using)
        try:
            typer.echo(await work(database, using))
        except NotSent as error:
            fail(f"The receiver of traces: {error}.")
        except Refusal as refusal:
            fail("; ".join(one.text for one in refusal.reasons))
        finally:
            await database.close()

    run_until_done(with_parts(settings(), worked))
