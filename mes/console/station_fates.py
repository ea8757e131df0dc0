"""What became of what a station said from a shell, told there."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import typer

from mes.console.verdicts import RestAccess, UnknownVerdictError, verdicts
from mes.formats.messages import SettledMessage
from stations.client import Station
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


def tell_followed(speaker: Station, run: str, ids: Sequence[str], wait_s: float) -> bool:
    """Say what became of what was said of a run, and of what is still to be sent; whether any of it was rejected."""
    fates = speaker.await_receipts([*ids, *speaker.unsettled()], timeout_s=wait_s)
    open_ids = set(speaker.unsettled())
    kept = [id for id in ids if id in fates or id in open_ids]  # the first of a soak of weeks are forgotten: settled
    if kept:
        tell(f"mes: run {run}", kept, fates, err=True)
    if waiting := speaker.waiting[0]:
        typer.echo(f"mes: {waiting} messages wait in the spool; the next call sends them", err=True)
    return any(fates[id].fate == "rejected" for id in kept if id in fates)


def tell_nothing_came(*, is_begun: bool) -> None:
    """Say that a program printed nothing of a run."""
    record = "of the run only its begin is on the record" if is_begun else "nothing is on the record"
    typer.echo(f"mes: no OCP Test & Validation line came; {record}", err=True)


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
