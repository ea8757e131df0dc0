"""How the demo tells what happened, to someone who sees an MES for the first time."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.tree import Tree

from mes.demo.office import Office
from mes.local import Local
from stations.floor.production import Production

_COLOURS: Final = {"pass": "green", "fail": "red", "completed": "green", "error": "yellow", "shipped": "green"}


def welcome(console: Console, local: Local, passwords: Mapping[str, str]) -> None:
    """Where to look, before anything happens."""
    console.print(f"[bold]The dashboard is at[/] {local.api_url}")
    logins = "   ".join(f"[bold]{name}[/] {password}" for name, password in passwords.items())
    console.print(f"Log in with one of these names and passwords:  {logins}")
    console.print()


async def tell(console: Console, office: Office, production: Production, summary: Mapping[str, Any]) -> None:
    """What became of a unit that its tester took for good, and what all of it came to."""
    for serial in production.floor.faults.unnoticed[:1]:
        await _story(console, office, serial)
    console.print()
    racks = ", ".join(summary["rack_serials"])
    console.print(
        f"{summary['racks_completed']} rack{'s' if summary['racks_completed'] != 1 else ''} done ({racks}), of "
        f"{summary['units_completed']} units with {summary['serials_installed']} serialized parts. The stations said "
        f"{summary['messages_sent']} things: {summary['messages_applied']} are applied, "
        f"{summary['messages_pending']} wait, {summary['messages_rejected']} could not be read. "
        f"The journal has {summary['journal_entries']} entries."
    )
    console.print(
        f"{summary['nonconformances']} times a unit failed, {summary['repairs']} repairs were made, "
        f"{summary['units_scrapped']} units were given up. Of the runs that failed, the MES stopped "
        f"{summary['runs_stopped']} while they were on, because telemetry went beyond a limit."
    )
    if (first_pass := summary["first_pass_yield"]) is not None:
        console.print(f"First-pass yield is {first_pass:.0%}: a retest repairs a unit, never the statistics.")
    if "stopped" in summary:
        console.print(Panel(escape(summary["stopped"]), title="The line stopped", border_style="red"))


async def _story(console: Console, office: Office, serial: str) -> None:
    unit = await office.call("GET", f"/units/{serial}")
    runs = (await office.call("GET", f"/units/{serial}/runs", limit=100))["items"]
    told = [await office.call("GET", f"/runs/{run['id']}") for run in runs]
    genealogy = await office.call("GET", f"/units/{serial}/genealogy")
    history = (await office.call("GET", f"/units/{serial}/history", limit=1000))["items"]
    console.print()
    console.print(_steps(unit, [run for run in told if run["purpose"] == "production"]))
    console.print(_parts(serial, genealogy, history))


def _coloured(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


def _steps(unit: Mapping[str, Any], runs: list[dict[str, Any]]) -> Table:
    title = f"{unit['serial']}, {unit['name']}: {_coloured(unit['state'])}"
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in ("Step", "Station", "Values", "Station says", "MES says", "Why"):
        table.add_column(heading, overflow="fold")
    for run in runs:
        why = " ".join(one["text"] for one in run["reasons"] if one["code"] != "claim_failed")
        table.add_row(
            run["step"], run["station"], _values(run), _coloured(run["claim"]), _coloured(run["verdict"]), escape(why)
        )
    return table


def _values(run: dict[str, Any]) -> str:
    if run["connections"]:
        return f"{len(run['connections'])} wires"
    count = len(run["measurements"])
    return f"{count} value{'s' if count > 1 else ''}"


def _parts(serial: str, genealogy: Mapping[str, Any], history: list[dict[str, Any]]) -> Tree:
    before = {
        one["data"]["fact"]["what"]["position"]: one["data"]["subjects"][-1]["name"]
        for one in history
        if one["type"] == "mes.part.removed"
    }
    tree = Tree(f"[bold]What is in {serial}[/]")
    for node in sorted(genealogy["children"], key=lambda node: str(node["position"])):
        named = node["serial"] or f"{node['quantity']:g} of lot {node['lot']}"
        old = before.get(node["position"])
        remembered = f" [dim]until its repair: {old}[/]" if old and old != named else ""
        tree.add(f"{node['position']:<6} {node['part']} [cyan]{named}[/]{remembered}")
    return tree


def where_to_look(console: Console, local: Local, production: Production) -> None:
    """What a newcomer can try next, ready to be pasted while the MES runs."""
    built = [task.result.serial for task in production.tops if task.result]
    if not built:
        return
    serial = built[-1]
    api = f"{local.api_url}/api/v1"
    token = f'-H "Authorization: Bearer $(cat {_shown(local.token_file)})"'
    at_home = "" if _shown(local.token_file.parent) == ".mes" else f"MES_DATA_DIR={_shown(local.token_file.parent)} "
    port = local.parts.mqtt_url.rsplit(":", 1)[-1]
    console.print()
    console.print("[bold]Where to look next[/] [dim](while it runs: `mes demo` without --once, or `mes up`)[/]")
    for what, command in (
        ("on a page", local.api_url),
        ("how far a rack is", f"curl -s {token} {api}/units/{serial}"),
        ("what is in it", f"curl -s {token} {api}/units/{serial}/genealogy"),
        ("all that happened", f"curl -s {token} {api}/journal"),
        ("the record, in SQL", f'psql "$({at_home}mes database url)" -c "TABLE measurement"'),
        ("what stations say", f"mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'mes/v1/#'"),
        ("every request", f"{api}/openapi.json"),
    ):
        console.print(f"  [dim]{what:<20}[/]{escape(command)}", soft_wrap=True)
    console.print()


def going_live(console: Console, local: Local) -> None:
    """What goes on from now on, and how it is ended."""
    console.print(
        f"[bold green]● Live[/] Production goes on by the clock until you press [bold]Ctrl-C[/]: watch it at "
        f"{local.api_url}. What is worth telling follows here. Started again in this folder, it goes on where it was."
    )
    console.print()


def _shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    return shlex.quote(os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path))
