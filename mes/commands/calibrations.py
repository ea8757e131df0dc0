"""Calibration of stations: until when what a station measures may be relied on."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db.journal import Event, append, moment
from mes.db.tables import station as table
from mes.domain.refusals import Reason, reason, refuse


async def calibrate(
    connection: AsyncConnection, station: str, until: datetime | None, certificate: str | None, act: Act
) -> None:
    """A station is calibrated until then; None: it measures nothing that needs it. Refuses `unknown_station`."""
    changed = (
        update(table)
        .where(table.c.site == act.site, table.c.name == station)
        .values(calibrated_until=until, calibration=certificate)
        .returning(table.c.id)
    )
    if (await connection.execute(changed)).scalar_one_or_none() is None:
        raise refuse("unknown_station", station=station)
    data = {"station": station, "certificate": certificate, "by": await number_of(connection, act.by)}
    data["calibrated_until"] = moment(until) if until else None
    await append(connection, [Event("mes.station.calibrated", (), data, name=station)], site=act.site, at=act.at)


def calibration_reasons(station: str, until: datetime | None, at: datetime) -> list[Reason]:
    """What a station's calibration says against working there at a moment; without an `until` it needs none."""
    if until is None or at <= until:
        return []
    text = f"The calibration of {station} ran out on {until:%Y-%m-%d}."
    return [reason("expired_calibration", text, station=station, calibrated_until=until.isoformat())]
