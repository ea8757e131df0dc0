"""`mes doctor` on the terminal."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from mes.console.running import fail
from mes.doctor.examination import examine
from mes.doctor.findings import AREAS, Finding, healthy
from mes.mqtt.address import Broker, parse_url
from mes.settings import settings, unknown_variables

STYLES: Final = {"fine": "green", "warning": "yellow", "error": "bold red", "not proven": "cyan"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Look at these areas only: {', '.join(AREAS)}.")] = None,
    logins: Annotated[
        Path | None,
        typer.Option(
            help="File with a line mqtt[s]://station:secret@host:port for each of two stations, best spare ones: "
            "tries whether one can speak as the other. Their own connections may be interrupted."
        ),
    ] = None,
) -> None:
    """Look for what would lose data or stop a line, partly by trying, and say what to do. Exit status 1 on an error."""
    if unknown := set(only or ()) - set(AREAS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: areas are {', '.join(AREAS)}", param_hint="--only")
    brokers = _read(logins)
    misspelt = unknown_variables()
    if not misspelt and settings().database_url is None and not settings().data_dir.is_dir():
        where = settings().data_dir
        fail(f"No MES is in this folder ({where}). Start `mes up`, or set MES_DATA_DIR or MES_DATABASE_URL.")
    found = asyncio.run(examine(settings(), misspelt, brokers, only or AREAS))
    if as_json:
        typer.echo(json.dumps({"healthy": healthy(found), "findings": [one._asdict() for one in found]}))
    else:
        _show(found)
    if not healthy(found):
        raise typer.Exit(1)


def _read(logins: Path | None) -> list[Broker]:
    """The stations' addresses in the file."""
    if logins is None:
        return []
    try:
        lines = logins.read_text().split()
        brokers = [parse_url(line) for line in lines]
    except (OSError, UnicodeError, ValueError) as error:
        raise typer.BadParameter(f"{logins}: {error}", param_hint="--logins") from error
    if not all(broker.user and broker.password for broker in brokers):
        raise typer.BadParameter("each line names a station and its secret", param_hint="--logins")
    return brokers


def _show(found: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("area", "check", "", "found, and what to do"):
        table.add_column(column, overflow="fold")
    for one in found:
        told = f"{_plain(one.text)}\n[bold]{_plain(one.advice)}[/]" if one.advice else _plain(one.text)
        table.add_row(one.area, _plain(one.check), f"[{STYLES[one.level]}]{one.level}[/]", told)
    Console().print(table)


def _plain(text: str) -> str:
    """What is in brackets is text, not style."""
    return text.replace("[", r"\[")
