"""What became of what a station said from a shell, told there."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import typer

from mes.console.verdicts import RestAccess, UnknownVerdictError, verdicts
from mes.formats.messages import SettledMessage
from stations.files import TYPES, FromFile, unit_of

ON_RECORD: Final = frozenset({"applied", "duplicate"})


def tell(what: str, ids: Sequence[str], fates: dict[str, SettledMessage], *, err: bool = False) -> bool:
    """Say what became of a file or run; whether all of it is on the record."""
    found = Counter(fates[id].fate if id in fates else "no receipt" for id in ids)
    told = ", ".join(f"{count} {fate}" if len(ids) > 1 else fate for fate, count in found.items())
    typer.echo(f"{what}: {told}", err=err)
    for text in dict.fromkeys(one.text for id in ids if id in fates for one in fates[id].reasons):
        typer.echo(f"  {text}", err=err)
    return set(found) <= ON_RECORD


def tell_verdicts(
    access: RestAccess | None, station: str, messages: Sequence[FromFile], recorded: Sequence[str]
) -> None:
    """Say what the MES judged of the runs in a file, as far as they are on the record."""
    units = dict.fromkeys(unit for one in messages if one.type != TYPES["redfish"] and (unit := unit_of(one.data)))
    if access is None or not recorded:
        return
    for unit in units:
        try:
            for one in verdicts(access, station, unit, recorded):
                typer.echo(f"  {one}")
                for text in one.reasons if one.verdict != "pass" else ():
                    typer.echo(f"    {text}")
        except UnknownVerdictError as error:
            typer.echo(f"  {error}. It is on the unit's page.", err=True)
