"""What is to be built and where: product definitions, part numbers, lines, stations, work orders."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from mes.db.tables.columns import ID, KEY, MOMENT, metadata, site, subject

product = Table(
    "product",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    Column("part", KEY, nullable=False, comment="Part number."),
    Column("revision", KEY, nullable=False, comment="Revision of the part number."),
    Column("name", Text, nullable=False, comment="What people call it."),
    Column("family", KEY, nullable=False, comment="Product family."),
    Column("source", KEY, nullable=False, comment="made or bought."),
    Column("tracking", KEY, nullable=False, comment="serial, lot or bulk."),
    Column("document", Text, nullable=False, comment="The definition as canonical JSON."),
    Column("digest", KEY, nullable=False, comment="SHA-256 of the document, hex."),
    Column("released_at", MOMENT, nullable=False, comment="When it was put here."),
    *subject(),
    UniqueConstraint("part", "revision"),
    comment="Product definitions: one immutable document per part and revision.",
)

part = Table(
    "part",
    metadata,
    Column("part", KEY, primary_key=True, comment="Part number."),
    Column("source", KEY, nullable=False, comment="made or bought; bought until a definition says otherwise."),
    Column("tracking", KEY, nullable=False, comment="serial, lot or bulk."),
    Column("receipt_required", Boolean, nullable=False, comment="Whether a scan may not create units of it."),
    Column("defined", Boolean, nullable=False, comment="False: known only because a bill of materials names it."),
    Column("serials_made", BigInteger, nullable=False, server_default="0", comment="Numbers its serial pattern used."),
    comment="Part numbers the floor knows, by their own definition or by being named in a bill of materials.",
)

line = Table(
    "line",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    site(),
    Column("name", KEY, nullable=False, comment="Name of the line."),
    Column("time_zone", KEY, nullable=False, comment="IANA time zone of its calendar."),
    Column("document", Text, nullable=False, comment="Shifts, exceptions and plan per shift as canonical JSON."),
    *subject(),
    UniqueConstraint("site", "name"),
    comment="Production lines with their calendars.",
)

station = Table(
    "station",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    site(),
    Column("name", KEY, nullable=False, comment="Name, as in its topics."),
    Column("kind", KEY, nullable=False, comment="Kind of work it does; route steps name kinds."),
    Column("line_id", ID, ForeignKey("line.id"), comment="Line it stands in."),
    Column("state", KEY, nullable=False, server_default="offline", comment="idle, running, down or offline."),
    Column("state_at", MOMENT, comment="Moment of the newest status that was applied."),
    Column("state_since", MOMENT, comment="Since when it is in this state, as it said."),
    Column("state_reason", Text, comment="Why, as it said."),
    Column("heard_at", MOMENT, comment="When anything of it was last settled."),
    Column("clock_skew_s", Double, comment="Its clock minus ours at its newest message; seconds."),
    Column("calibrated_until", MOMENT, comment="Until when it is calibrated; null: it needs no calibration."),
    Column("calibration", Text, comment="Certificate of its calibration."),
    Column("broker_password", Text, comment="Hash of its secret as brokers keep passwords; null: it has none yet."),
    UniqueConstraint("site", "name"),
    comment="Stations: who may speak, and how they last said they are.",
)

work_order = Table(
    "work_order",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    site(),
    Column("number", KEY, nullable=False, comment="The ERP's number."),
    Column("product_id", ID, ForeignKey("product.id"), nullable=False, comment="Definition its units are built to."),
    Column("quantity", Integer, nullable=False, comment="Units ordered."),
    Column("units_made", Integer, nullable=False, server_default="0", comment="Units created for it so far."),
    Column("due", Date, comment="Day it is due."),
    Column("priority", Integer, nullable=False, comment="Higher goes first."),
    Column("customer_order", Text, comment="The customer's order, as the ERP names it."),
    Column("serials", ARRAY(Text), comment="Serials the ERP gave; null: the product's pattern makes them."),
    Column("digest", KEY, nullable=False, comment="SHA-256 of the order as put, to tell a repeat from a conflict."),
    Column("state", KEY, nullable=False, comment="See the table of moves in mes.domain.work_order."),
    Column("version", Integer, nullable=False, server_default="1", comment="Rises with each change; the ETag."),
    Column("created_at", MOMENT, nullable=False, comment="When it was put."),
    Column("released_at", MOMENT, comment="When its units were created."),
    Column("ended_at", MOMENT, comment="When it was closed or cancelled."),
    *subject(),
    UniqueConstraint("site", "number"),
    CheckConstraint("quantity > 0", "quantity_positive"),
    Index("ix_work_order_state", "state", "id"),
    comment="Work orders.",
)
