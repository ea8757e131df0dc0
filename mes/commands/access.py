"""Who may come in: bearer tokens for programs, accounts for people.

A token reads `mes_<id>_<secret>`. Only a hash of its secret is stored, so it is shown once; the secret is 256 random
bits, for which a plain SHA-256 is enough. Passwords are people's, so they get Argon2.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pwdlib import PasswordHash
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import tables
from mes.db.journal import new_id
from mes.domain.refusals import refuse

ROLES = ("viewer", "operator", "supervisor", "quality", "erp", "auditor", "admin", "station")
STATION = "station"
PEOPLE = frozenset(ROLES) - {STATION}
"""The roles that a person can have; each of them may read everything but the journal."""
_PASSWORDS = PasswordHash.recommended()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a token's or account's name, its roles, and for a station's token the only station it speaks as."""

    name: str
    roles: frozenset[str]
    station: str | None = None


async def add_token(
    connection: AsyncConnection, name: str, role: str, station: str | None = None, *, at: datetime
) -> str:
    """Make a token and give its text, which can't be read again. Refuses `invalid`, `unknown_station`."""
    _check_role(role)
    if (role == STATION) != (station is not None):
        raise refuse("invalid", "A token of role station names its station; no other token does.", field="station")
    if station is not None:
        known = select(tables.station.c.id).where(tables.station.c.name == station)
        if (await connection.execute(known)).first() is None:
            raise refuse("unknown_station", station=station)
    token_id, secret = new_id(), secrets.token_urlsafe(32)
    await connection.execute(
        insert(tables.token).values(
            id=token_id, name=name, role=role, station=station, digest=_digest(secret), created_at=at
        )
    )
    return f"mes_{UUID(token_id).hex}_{secret}"


async def find_token(connection: AsyncConnection, given: str) -> Caller | None:
    """The caller that a token's text speaks for; None if it is unknown, wrong or revoked."""
    parts = given.split("_", 2)
    if len(parts) != 3 or parts[0] != "mes" or not (token_id := _token_id(parts[1])):
        return None
    table = tables.token
    found = select(table.c.name, table.c.role, table.c.station, table.c.digest).where(
        table.c.id == token_id, table.c.revoked_at.is_(None)
    )
    row = (await connection.execute(found)).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, _digest(parts[2])):
        return None
    return Caller(row.name, frozenset({row.role}), row.station)


async def revoke_token(connection: AsyncConnection, token_id: str, *, at: datetime) -> bool:
    """Make a token void from now on. False if there is no such token, or it is void already."""
    table = tables.token
    done = await connection.execute(
        update(table).where(table.c.id == token_id, table.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    return done.rowcount == 1


async def add_account(
    connection: AsyncConnection, name: str, password: str, roles: Collection[str], *, at: datetime
) -> bool:
    """Make an account, or give an existing one this password and these roles, ending its logins. True if it is new."""
    for role in roles:
        _check_role(role)
    table, login = tables.account, tables.login
    await connection.execute(
        update(login).where(login.c.account == name, login.c.closed_at.is_(None)).values(closed_at=at)
    )
    values = {"password_hash": _PASSWORDS.hash(password), "roles": sorted(roles), "disabled_at": None}
    statement = (
        postgresql.insert(table)
        .values(name=name, created_at=at, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
        .returning(text("xmax = 0"))
    )
    return bool((await connection.execute(statement)).scalar_one())


async def check_password(connection: AsyncConnection, name: str, password: str) -> Caller | None:
    """The account's caller if the password is right and the account open; takes as long for an unknown name."""
    table = tables.account
    found = select(table.c.password_hash, table.c.roles).where(table.c.name == name, table.c.disabled_at.is_(None))
    row = (await connection.execute(found)).one_or_none()
    kept = row.password_hash if row else _nobodys_hash()
    # Made to be slow, so not on the loop.
    if not await asyncio.to_thread(_PASSWORDS.verify, password, kept) or row is None:
        return None
    return Caller(name, frozenset(row.roles))


async def count_tokens(connection: AsyncConnection) -> int:
    """How many tokens are valid."""
    table = tables.token
    valid = select(func.count()).select_from(table).where(table.c.revoked_at.is_(None))
    return int((await connection.execute(valid)).scalar_one())


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise refuse("invalid", f"{role!r} is no role; roles are {', '.join(ROLES)}.", field="role")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token_id(text: str) -> str | None:
    try:
        return str(UUID(hex=text)) if len(text) == 32 else None
    except ValueError:
        return None


_nobody: list[str] = []


def _nobodys_hash() -> str:
    """A hash to compare with where there is no account, made on first use."""
    if not _nobody:
        _nobody.append(_PASSWORDS.hash(secrets.token_urlsafe(16)))
    return _nobody[0]
