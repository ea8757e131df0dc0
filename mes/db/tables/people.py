"""Who may do what, and the only place where operators have names."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from mes.db.tables.columns import ID, KEY, MOMENT, metadata

operator = Table(
    "operator",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True, comment="What the record says instead of a name."),
    Column("name", KEY, unique=True, comment="Name or badge; null: erased."),
    comment="The only place where operators' names are; rows can be erased without touching the record.",
)

token = Table(
    "token",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id; the public half of the token."),
    Column("name", Text, nullable=False, comment="What or whom it is for."),
    Column("role", KEY, nullable=False, comment="viewer, operator, supervisor, quality, erp, auditor, admin, station."),
    Column("station", KEY, comment="For role station: the only station it may speak as."),
    Column("digest", KEY, nullable=False, comment="SHA-256 of the secret half, hex; the secret is never stored."),
    Column("created_at", MOMENT, nullable=False, comment="When it was made."),
    Column("revoked_at", MOMENT, comment="Since when it is void."),
    comment="Bearer tokens of programs. Their secrets are random 256-bit texts, so a plain hash is enough.",
)

account = Table(
    "account",
    metadata,
    Column("name", KEY, primary_key=True, comment="Login name."),
    Column("password_hash", Text, nullable=False, comment="Argon2."),
    Column("roles", ARRAY(Text), nullable=False, comment="What the person may do."),
    Column("created_at", MOMENT, nullable=False, comment="When it was made."),
    Column("disabled_at", MOMENT, comment="Since when it is closed."),
    comment="People who log in.",
)

login = Table(
    "login",
    metadata,
    Column("digest", KEY, primary_key=True, comment="SHA-256 of the browser's secret, hex; it is never stored."),
    Column("account", KEY, ForeignKey("account.name"), nullable=False, comment="Who logged in."),
    Column("opened_at", MOMENT, nullable=False, comment="When the password was given."),
    Column("seen_at", MOMENT, nullable=False, comment="When it was last used, to some minutes."),
    Column("closed_at", MOMENT, comment="When it was closed; null: open, unless too old or unused for too long."),
    Index("ix_login_account", "account"),
    comment="Logins of people: one per browser.",
)
