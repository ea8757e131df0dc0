"""A station's secret: its password at the broker and its token at the HTTP twin, one text for both doors.

It is shown once. What is stored are two hashes of it: the token's digest, and the broker's password as its file has it.
"""

from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.access import STATION, add_token
from mes.commands.act import Act
from mes.db import tables
from mes.domain.refusals import refuse
from mes.formats.broker_passwords import BrokerAccount, hashed

MES_USER: Final = "mes"
"""The user that the MES itself is at the broker, as deploy's access lists name it. No station may be called so."""


async def has_secret(connection: AsyncConnection, station: str, site: str) -> bool:
    """Whether the station has a secret; False also where there is no such station."""
    table = tables.station
    found = select(table.c.broker_password).where(table.c.site == site, table.c.name == station)
    return (await connection.execute(found)).scalar_one_or_none() is not None


async def issue_secret(connection: AsyncConnection, station: str, act: Act) -> str:
    """Give the station a new secret, which can't be read again; one it had is void from now on.

    The broker knows the new one when its password file was written again. Refuses `unknown_station`, and `invalid` for
    a station that is called like the MES's own user.
    """
    if station == MES_USER:
        raise refuse(
            "invalid", f"{MES_USER} is the MES itself at the broker; call the station otherwise.", field="name"
        )
    token = tables.token
    await connection.execute(
        update(token)
        .where(token.c.role == STATION, token.c.station == station, token.c.revoked_at.is_(None))
        .values(revoked_at=act.at)
    )
    secret = await add_token(connection, f"station {station}", STATION, station, at=act.at)
    table = tables.station
    await connection.execute(
        update(table).where(table.c.site == act.site, table.c.name == station).values(broker_password=hashed(secret))
    )
    return secret


async def broker_accounts(connection: AsyncConnection, site: str) -> list[BrokerAccount]:
    """Every station of the site that has a secret, as the broker should know it."""
    table = tables.station
    found = select(table.c.name, table.c.broker_password).where(
        table.c.site == site, table.c.broker_password.is_not(None)
    )
    return [BrokerAccount(name, kept) for name, kept in (await connection.execute(found)).tuples()]
