"""Setting up: product definitions, stations, people, programs, the broker's accounts, the database in use."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands import access, lines, station_secrets
from mes.commands import products as definitions
from mes.commands.act import Act
from mes.console.running import command, fail, run_until_done
from mes.domain.refusals import refuse
from mes.embedded.folder import write_private
from mes.embedded.parts import database as embedded_database
from mes.formats.broker_passwords import BrokerAccount, emqx_file, hashed, mosquitto_file
from mes.formats.product_document import InvalidDefinition, load
from mes.mqtt.address import parse_url
from mes.queries.lines import list_lines
from mes.settings import settings

LINES_SHOWN: Final = 50


class BrokerKind(StrEnum):
    """The brokers whose password files are known."""

    mosquitto = "mosquitto"
    emqx = "emqx"


def _group(text: str) -> typer.Typer:
    return typer.Typer(no_args_is_help=True, help=text)


products = _group("Product definitions.")
stations = _group("Stations of a line.")
users = _group("People who log in.")
tokens = _group("Bearer tokens for programs.")
broker = _group("The broker's accounts.")
database = _group("The database in use.")

GROUPS: Final = {
    "products": products,
    "stations": stations,
    "users": users,
    "tokens": tokens,
    "broker": broker,
    "database": database,
}


@products.command("load")
def load_products(files: Annotated[list[Path], typer.Argument(help="YAML files.")]) -> None:
    """Release product definitions; one that is there already and the same is left as it is."""
    read = []
    for file in files:
        try:
            read.append((file, load(file)))
        except InvalidDefinition as invalid:
            problems = "".join(f"\n  {one.place}: {one.text}" for one in invalid.problems)
            fail(f"{file} is no product definition:{problems}")
        except OSError as error:
            fail(f"{file} can't be read: {error.strerror}.")

    async def put(connection: AsyncConnection, act: Act) -> list[str]:
        said = []
        for _, definition in read:
            new = await definitions.put_product(connection, definition, act)
            said.append(f"{definition.part} {definition.revision}: {'released' if new else 'was there already'}")
        return said

    typer.echo("\n".join(command(put)))


@stations.command("add")
def add_station(
    name: str,
    line: Annotated[str, typer.Option(help="Line it stands in; made if it is new.")],
    kind: Annotated[str, typer.Option(help="Kind of work, as route steps name it.")],
) -> None:
    """Register a station. Its secret, for the broker and the HTTP twin, is printed once and stored hashed."""

    async def put(connection: AsyncConnection, act: Act) -> tuple[str | None, list[str] | None]:
        known = await list_lines(connection, act.site, limit=LINES_SHOWN, cursor=None)
        others = [one.name for one in known.items if one.name != line]
        if same := [one for one in others if one.casefold() == line.casefold() and len(others) == len(known.items)]:
            raise refuse("unknown_line", f"There is no line {line}; there is {same[0]}.")
        is_new = await lines.add_station(connection, line, lines.StationOfLine(name, kind), act)
        has_one = await station_secrets.has_secret(connection, name, act.site)
        secret = None if has_one else await station_secrets.issue_secret(connection, name, act)
        return secret, others if is_new else None

    secret, other_lines = command(put)
    typer.echo(f"{name} ({kind}) stands in {line}.")
    if other_lines is not None:
        _tell_new_line(line, other_lines)
    if secret is None:
        typer.echo(f"It keeps its secret; `mes stations secret {name}` makes another.")
    else:
        _show_secret(name, secret)


def _tell_new_line(line: str, others: list[str]) -> None:
    """A line is made by its first station; one that was misspelt must not go unnoticed."""
    typer.echo(f"{line} is a new line: in UTC and without shifts until PUT /api/v1/lines/{line} says otherwise.")
    if others:
        typer.echo(
            f"Other lines: {', '.join(others)}. If one of them was meant, the same command with it moves the station."
        )


@stations.command("secret")
def renew_secret(name: str) -> None:
    """Give a station a new secret. The one it had is void: at the HTTP twin at once, at the broker when it was told."""

    async def issue(connection: AsyncConnection, act: Act) -> str:
        return await station_secrets.issue_secret(connection, name, act)

    _show_secret(name, command(issue))


def _show_secret(name: str, secret: str) -> None:
    typer.echo(f"Its secret, shown once (user {name} at the broker, bearer token at the HTTP twin):")
    typer.echo(secret)
    typer.echo("The broker knows it after `mes broker passwords` and a reload.")


@broker.command("passwords")
def write_passwords(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; without it, stdout.")] = None,
    kind: Annotated[BrokerKind, typer.Option(help="Whose file it is.")] = BrokerKind.mosquitto,
) -> None:
    """Write the broker's password file: every station that has a secret, and the MES as MES_MQTT_URL names it.

    The file is replaced whole. Then have the broker read it: SIGHUP for Mosquitto, a restart for EMQX.
    """

    async def accounts(connection: AsyncConnection, act: Act) -> list[BrokerAccount]:
        return await station_secrets.broker_accounts(connection, act.site)

    ours = _own_account(settings().mqtt_url)
    write = {BrokerKind.mosquitto: mosquitto_file, BrokerKind.emqx: emqx_file}[kind]
    text = write([*command(accounts), ours])
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        write_private(output, text)
    except OSError as error:
        fail(f"{output} can't be written: {error.strerror}.")


def _own_account(mqtt_url: str | None) -> BrokerAccount:
    """The MES's own account at the broker that the settings name."""
    address = parse_url(mqtt_url) if mqtt_url else None
    if address is None or not address.user or not address.password:
        fail("MES_MQTT_URL must name the MES's own user and password: mqtt://mes:password@host:port.")
    if address.user != station_secrets.MES_USER:
        fail(f"The broker's access list knows the MES as {station_secrets.MES_USER}, MES_MQTT_URL as {address.user}.")
    return BrokerAccount(address.user, hashed(address.password))


@tokens.command("add")
def add_token(
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(access.ROLES)}.")],
    name: Annotated[str, typer.Option(help="Whom or what it is for.")] = "unnamed",
    station: Annotated[str | None, typer.Option(help="For role station: the station it speaks as.")] = None,
) -> None:
    """Make a bearer token. It is printed once and stored hashed."""

    async def put(connection: AsyncConnection, act: Act) -> str:
        return await access.add_token(connection, name, role, station, at=act.at)

    typer.echo(command(put))


@users.command("add")
def add_user(
    name: str,
    role: Annotated[list[str], typer.Option(help=f"Any of: {', '.join(access.ROLES)}; may be given several times.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Add a person who logs in. The password is asked for and stored hashed."""

    async def put(connection: AsyncConnection, act: Act) -> None:
        await access.add_account(connection, name, password, role, at=act.at)

    command(put)
    typer.echo(f"{name} may log in as {', '.join(role)}.")


@database.command("url")
def database_url() -> None:
    """Print the address of the database in use, for psql and checks."""

    async def run() -> None:
        async with embedded_database(settings()) as url:
            typer.echo(url)

    run_until_done(run())
