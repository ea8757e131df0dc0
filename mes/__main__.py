"""The `mes` command."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from mes import services
from mes.commands import access, lines, products
from mes.commands.act import Act
from mes.db.migrate import upgrade
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.embedded.parts import database as embedded_database
from mes.embedded.problems import PartError
from mes.embedded.processes import until_signalled
from mes.formats.product_document import InvalidDefinition, load
from mes.local import Local, running
from mes.settings import Settings, settings

T = TypeVar("T")
BY = "command line"

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
add = {name: typer.Typer(no_args_is_help=True, help=text) for name, text in {
    "products": "Product definitions.",
    "stations": "Stations of a line.",
    "users": "People who log in.",
    "tokens": "Bearer tokens for programs.",
    "database": "The database in use.",
}.items()}  # fmt: skip
for _name, _group in add.items():
    app.add_typer(_group, name=_name)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded database and broker.")]
Port = Annotated[int | None, typer.Option(help="Port of REST.")]
ReadyFile = Annotated[Path | None, typer.Option(help="File to write when it is ready.", hidden=True)]
MqttPort = Annotated[int | None, typer.Option(help="Port of the embedded broker.")]


def _settings(**given: Any) -> Settings:
    """The settings with what the command line gave instead."""
    return settings().model_copy(update={name: value for name, value in given.items() if value is not None})


def _log(using: Settings) -> None:
    logging.basicConfig(level=using.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run until done or signalled. What a person can mend is said in a line, without a traceback."""

    async def signalled() -> None:
        async with until_signalled():
            await work

    try:
        asyncio.run(signalled())
    except (PartError, services.NotReady) as error:
        _fail(str(error))


def _fail(text: str) -> None:
    typer.echo(f"mes: {text}", err=True)
    raise typer.Exit(1)


async def _with_parts(using: Settings, service: Callable[[Settings], Awaitable[None]]) -> None:
    """A service on the settings' database and broker, or else on those of the data folder if they run."""
    async with embedded_database(using) as url:
        await service(using.model_copy(update={"database_url": url}))


def _command(work: Callable[[AsyncConnection, Act], Awaitable[T]]) -> T:
    """Run one command in one transaction on the database in use."""
    using = settings()

    async def run() -> T:
        async with embedded_database(using) as url:
            await asyncio.to_thread(upgrade, url)
            database = Database(url, site=using.site, pool_size=1)
            try:
                async with database.transaction() as connection:
                    return await work(connection, Act(using.site, BY, datetime.now(UTC)))
            finally:
                await database.close()

    try:
        return asyncio.run(run())
    except PartError as error:
        _fail(str(error))
    except Refusal as refusal:
        _fail("; ".join(one.text for one in refusal.reasons))
    raise AssertionError("unreachable")


@app.command()
def up(data_dir: DataDir = None, port: Port = None, mqtt_port: MqttPort = None) -> None:
    """Run everything on this machine, for real use: database, broker and all services, until Ctrl-C."""
    using = _settings(data_dir=data_dir, port=port, mqtt_port=mqtt_port)
    _log(using)

    async def run() -> None:
        async with running(using) as (local, supervisor):
            typer.echo(_where(local))
            await supervisor.watch()

    _run(run())


def _where(local: Local) -> str:
    return (
        f"The MES runs.  REST: {local.api_url}/api/v1   MQTT: {local.parts.mqtt_url}\n"
        f"A token with all rights is in {local.token_file}.  Ctrl-C stops everything."
    )


@app.command()
def serve() -> None:
    """Run REST."""
    _log(settings())
    _run(_with_parts(settings(), services.serve))


@app.command()
def ingest(
    slot: Annotated[int | None, typer.Option(help="Share the work with other slots; without it one does all.")] = None,
    ready_file: ReadyFile = None,
) -> None:
    """Run ingest: facts from the broker into the record."""
    _log(settings())
    _run(_with_parts(settings(), lambda using: services.ingest(using, slot, ready_file)))


@app.command()
def answer(ready_file: ReadyFile = None) -> None:
    """Run answers: may this step begin?"""
    _log(settings())
    _run(_with_parts(settings(), lambda using: services.answer(using, ready_file)))


@app.command()
def feeds() -> None:
    """Run the feeds: what reads the journal."""
    _log(settings())
    _run(_with_parts(settings(), services.feeds))


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version."""

    async def run() -> None:
        async with embedded_database(settings()) as url:
            await asyncio.to_thread(upgrade, url)

    _run(run())
    typer.echo("The database is up to date.")


@app.command("settings")
def list_settings() -> None:
    """List every setting: its variable, value and meaning."""
    using = settings()
    for name, field in Settings.model_fields.items():
        typer.echo(f"MES_{name.upper()}={getattr(using, name) if getattr(using, name) is not None else ''}")
        typer.echo(f"    {field.description}")


@add["products"].command("load")
def load_products(files: Annotated[list[Path], typer.Argument(help="YAML files.")]) -> None:
    """Release product definitions; one that is there already and the same is left as it is."""
    definitions = []
    for file in files:
        try:
            definitions.append((file, load(file)))
        except InvalidDefinition as invalid:
            problems = "".join(f"\n  {one.place}: {one.text}" for one in invalid.problems)
            _fail(f"{file} is no product definition:{problems}")
        except OSError as error:
            _fail(f"{file} can't be read: {error.strerror}.")

    async def put(connection: AsyncConnection, act: Act) -> list[str]:
        said = []
        for _, definition in definitions:
            new = await products.put_product(connection, definition, act)
            said.append(f"{definition.part} {definition.revision}: {'released' if new else 'was there already'}")
        return said

    typer.echo("\n".join(_command(put)))


@add["stations"].command("add")
def add_station(
    name: str,
    line: Annotated[str, typer.Option(help="Line it stands in; made if it is new.")],
    kind: Annotated[str, typer.Option(help="Kind of work, as route steps name it.")],
) -> None:
    """Register a station."""

    async def put(connection: AsyncConnection, act: Act) -> None:
        await lines.add_station(connection, line, lines.StationOfLine(name, kind), act)

    _command(put)
    typer.echo(f"{name} ({kind}) stands in {line}.")


@add["tokens"].command("add")
def add_token(
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(access.ROLES)}.")],
    name: Annotated[str, typer.Option(help="Whom or what it is for.")] = "unnamed",
    station: Annotated[str | None, typer.Option(help="For role station: the station it speaks as.")] = None,
) -> None:
    """Make a bearer token. It is printed once and stored hashed."""

    async def put(connection: AsyncConnection, act: Act) -> str:
        return await access.add_token(connection, name, role, station, at=act.at)

    typer.echo(_command(put))


@add["users"].command("add")
def add_user(
    name: str,
    role: Annotated[list[str], typer.Option(help=f"Any of: {', '.join(access.ROLES)}; may be given several times.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Add a person who logs in. The password is asked for and stored hashed."""

    async def put(connection: AsyncConnection, act: Act) -> None:
        await access.add_account(connection, name, password, role, at=act.at)

    _command(put)
    typer.echo(f"{name} may log in as {', '.join(role)}.")


@add["database"].command("url")
def database_url() -> None:
    """Print the address of the database in use, for psql and checks."""

    async def run() -> None:
        async with embedded_database(settings()) as url:
            typer.echo(url)

    _run(run())


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="The same seed gives the same floor.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="End when the cables are done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON summary as the last line.")] = False,
    data_dir: DataDir = None,
    port: Port = None,
    mqtt_port: MqttPort = None,
) -> None:
    """Run the factory on this machine: two cables go through their route, one of them miswired."""
    from mes.demo import show  # the demo's parts are loaded only when it runs

    using = _settings(data_dir=data_dir, port=port, mqtt_port=mqtt_port)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    async def run() -> None:
        async with running(using, any_port=port is None) as (local, supervisor):
            summary = await show(local, seed)
            if as_json:
                typer.echo(json.dumps(summary))
            if summary["units_completed"] < summary["units_ordered"]:
                raise typer.Exit(1)
            if not once:
                typer.echo(_where(local))
                await supervisor.watch()

    _run(run())


def main() -> None:
    """Entry of the `mes` program."""
    # Reading our own pipe's end should not look like a crash.
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
