"""What columns of all tables are made of: names of constraints, types, and the columns that many tables have."""

from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.types import UserDefinedType

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
metadata = MetaData(naming_convention=NAMING)

KEY = Text(collation="C")
MOMENT = DateTime(timezone=True)
ID = UUID(as_uuid=False)
SITE_DEFAULT = text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')")


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "XID8"


def site() -> Column[str]:
    """The column that says whose row it is; every key of the floor contains it."""
    return Column("site", KEY, nullable=False, server_default=SITE_DEFAULT, comment="Site that this row belongs to.")


def subject() -> tuple[Column[int], Column[bytes]]:
    """The two columns that chain a subject's journal entries; only ever changed with the row locked."""
    return (
        Column(
            "journal_number", Integer, nullable=False, server_default="0", comment="Journal entries naming it so far."
        ),
        Column("journal_hash", LargeBinary, comment="SHA-256 of its newest journal entry; null before the first."),
    )
