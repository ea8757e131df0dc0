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

from mes.demo.findings import CableRecord, Findings
from mes.local import Local

_COLOURS: Final = {"pass": "green", "fail": "red", "completed": "green", "error": "yellow"}


def tell(console: Console, findings: Findings, summary: Mapping[str, Any]) -> None:
    """A table of steps and a tree of parts for each cable, and what it came to."""
    for cable in findings.cables:
        console.print()
        console.print(_steps(cable))
        console.print(_parts(cable))
    console.print()
    console.print(
        f"The stations said {summary['messages_sent']} things: {summary['messages_applied']} are applied, "
        f"{summary['messages_pending']} wait, {summary['messages_rejected']} could not be read. "
        f"The journal has {summary['journal_entries']} entries."
    )
    if (first_pass := summary["first_pass_yield"]) is not None:
        console.print(f"First-pass yield is {first_pass:.0%}: a retest repairs a cable, never the statistics.")
    if "stopped" in summary:
        console.print(Panel(escape(summary["stopped"]), title="The line stopped", border_style="red"))


def _coloured(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


def _steps(cable: CableRecord) -> Table:
    table = Table(title=f"{cable.serial}: {_coloured(cable.state)}", title_justify="left", title_style="bold")
    for heading in ("Step", "Station", "Values", "Station says", "MES says", "Why"):
        table.add_column(heading, overflow="fold")
    for run in cable.runs:
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


def _parts(cable: CableRecord) -> Tree:
    tree = Tree(f"[bold]What is in {cable.serial}[/]")
    for node in sorted(cable.genealogy["children"], key=lambda node: str(node["position"])):
        named = node["serial"] or f"{node['quantity']:g} m of lot {node['lot']}"
        before = cable.replaced.get(node["position"])
        remembered = f" [dim]until its repair: {before}[/]" if before else ""
        tree.add(f"{node['position']:<6} {node['part']} [cyan]{named}[/]{remembered}")
    return tree


def where_to_look(console: Console, local: Local, findings: Findings) -> None:
    """What a newcomer can try next, ready to be pasted while the MES runs."""
    if not findings.cables:
        return
    serial = findings.cables[-1].serial
    api = f"{local.api_url}/api/v1"
    token = f'-H "Authorization: Bearer $(cat {_shown(local.token_file)})"'
    at_home = "" if _shown(local.token_file.parent) == ".mes" else f"MES_DATA_DIR={_shown(local.token_file.parent)} "
    port = local.parts.mqtt_url.rsplit(":", 1)[-1]
    console.print()
    console.print("[bold]Where to look next[/] [dim](while it runs: `mes demo` without --once, or `mes up`)[/]")
    for what, command in (
        ("how far a cable is", f"curl -s {token} {api}/units/{serial}"),
        ("what is in it", f"curl -s {token} {api}/units/{serial}/genealogy"),
        ("all that happened", f"curl -s {token} {api}/journal"),
        ("the record, in SQL", f'psql "$({at_home}mes database url)" -c "TABLE measurement"'),
        ("what stations say", f"mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'mes/v1/#'"),
        ("every request", f"{api}/openapi.json"),
    ):
        console.print(f"  [dim]{what:<20}[/]{escape(command)}", soft_wrap=True)


def _shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    return shlex.quote(os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path))
