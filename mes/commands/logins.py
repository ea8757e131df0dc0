"""Logins of people: one per browser, from the password to the logout, or until it was not used for too long.

The browser's secret is 256 random bits and is stored as a hash only. Roles are read anew at each use: what an
administrator changes counts at once.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.access import Caller
from mes.db import tables

MAX_AGE: Final = timedelta(days=30)
"""After this a password is asked for again, however much the login is used."""
SEEN_EVERY: Final = timedelta(minutes=5)
"""How exactly the last use is noted: not every page is a write."""


@dataclass(frozen=True, slots=True)
class Login:
    """A valid login. `form_token` proves that a form was made for it; `stale`: its use should be noted again."""

    caller: Caller
    form_token: str
    stale: bool


async def open_login(connection: AsyncConnection, account: str, *, at: datetime) -> str:
    """Open a login for an account whose password was checked; the secret for the browser. Drops what is long over."""
    secret = secrets.token_urlsafe(32)
    table = tables.login
    await connection.execute(delete(table).where(table.c.opened_at < at - MAX_AGE))
    await connection.execute(insert(table).values(digest=_digest(secret), account=account, opened_at=at, seen_at=at))
    return secret


async def find_login(connection: AsyncConnection, secret: str, *, idle_max: timedelta, at: datetime) -> Login | None:
    """The login of a secret; None if it is unknown, closed, too old, unused for too long, or its account is closed."""
    login, account = tables.login, tables.account
    found = (
        select(account.c.name, account.c.roles, login.c.seen_at)
        .join(account, account.c.name == login.c.account)
        .where(login.c.digest == _digest(secret), *_valid(idle_max, at))
    )
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        return None
    return Login(Caller(row.name, frozenset(row.roles)), form_token(secret), row.seen_at < at - SEEN_EVERY)


async def still_open(
    connection: AsyncConnection, secrets_: Collection[str], *, idle_max: timedelta, at: datetime
) -> set[str]:
    """Those of these secrets whose logins are valid, in one statement; being asked about, they are in use."""
    login, account = tables.login, tables.account
    by_digest = {_digest(secret): secret for secret in secrets_}
    found = (
        select(login.c.digest, login.c.seen_at)
        .join(account, account.c.name == login.c.account)
        .where(login.c.digest.in_(by_digest), *_valid(idle_max, at))
    )
    rows = (await connection.execute(found)).all()
    if stale := [row.digest for row in rows if row.seen_at < at - SEEN_EVERY]:
        await connection.execute(update(login).where(login.c.digest.in_(stale)).values(seen_at=at))
    return {by_digest[row.digest] for row in rows}


async def note_seen(connection: AsyncConnection, secret: str, *, at: datetime) -> None:
    """Note that a login is in use."""
    table = tables.login
    await connection.execute(update(table).where(table.c.digest == _digest(secret)).values(seen_at=at))


async def close_login(connection: AsyncConnection, secret: str, *, at: datetime) -> None:
    """Log out."""
    table = tables.login
    mine = (table.c.digest == _digest(secret), table.c.closed_at.is_(None))
    await connection.execute(update(table).where(*mine).values(closed_at=at))


def _valid(idle_max: timedelta, at: datetime) -> tuple[ColumnElement[bool], ...]:
    login = tables.login
    return (
        login.c.closed_at.is_(None),
        login.c.opened_at > at - MAX_AGE,
        login.c.seen_at > at - idle_max,
        tables.account.c.disabled_at.is_(None),
    )


def form_token(secret: str) -> str:
    """What a form of this login carries: only who knows the secret can make it, and it does not tell the secret."""
    return hmac.new(secret.encode("utf-8", "replace"), b"form", hashlib.sha256).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
