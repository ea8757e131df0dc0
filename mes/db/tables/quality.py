"""What is held back, and what does not conform."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text
from sqlalchemy.dialects.postgresql import TSTZRANGE

from mes.db.tables.columns import ID, KEY, MOMENT, metadata, site, subject

hold = Table(
    "hold",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    site(),
    Column("scope", KEY, nullable=False, comment="unit, lot, part, station or work_order."),
    Column("key", KEY, nullable=False, comment="Unit or lot id, part number, station name or order number."),
    Column("shown_key", KEY, nullable=False, comment="The key as it was asked for: a serial, a lot number, …"),
    Column("reason", Text, nullable=False, comment="Why."),
    Column("during", TSTZRANGE, nullable=False, comment="When it holds."),
    Column("placed_by", Text, nullable=False, comment="Who placed it."),
    Column("released_by", Text, comment="Who released it."),
    *subject(),
    CheckConstraint("NOT isempty(during)", "during_not_empty"),
    Index("ix_hold_key", "key"),
    comment="Holds: nothing held may start, pack or ship.",
)

nonconformance = Table(
    "nonconformance",
    metadata,
    Column("id", ID, primary_key=True, comment="Derived from the fact that opened it."),
    site(),
    Column("unit_id", ID, ForeignKey("unit.id"), nullable=False, comment="Unit that does not conform."),
    Column("step", KEY, comment="Step that failed; null: a contradiction between a decision and a late fact."),
    Column("state", KEY, nullable=False, comment="See the table of moves in mes.domain.nonconformance."),
    Column("run_id", ID, comment="Run that failed."),
    Column("reasons", Text, nullable=False, comment="Why, as JSON."),
    Column("opened_key", KEY, nullable=False, comment="Key of the entry that opened it."),
    Column("opened_at", MOMENT, nullable=False, comment="Effective time of that entry."),
    Column("closed_at", MOMENT, comment="Effective time of what closed it."),
    Column("diagnosis", Text, comment="What was found."),
    Column("repair", Text, comment="What was done."),
    Column("ruling", KEY, comment="rework, scrap or use_as_is."),
    *subject(),
    Index("ix_nonconformance_unit_id", "unit_id"),
    Index("ix_nonconformance_state", "state", "id"),
    comment="Nonconformances: one per failed attempt, until a retest passes or a disposition rules.",
)
