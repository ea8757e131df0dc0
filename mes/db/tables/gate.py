"""What stations said, as it came: the gate that lets a message in once, and what could not be applied."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from mes.db.tables.columns import ID, KEY, MOMENT, metadata

in_hand = Table(
    "in_hand",
    metadata,
    Column("client_id", KEY, primary_key=True, comment="Ingest process, by its fixed name at the broker."),
    Column("messages", Integer, nullable=False, comment="Redelivered messages it has in hand."),
    Column("digest", LargeBinary, comment="SHA-256 of the one it has in hand alone; null: several."),
    Column("deaths", Integer, nullable=False, comment="How often a process ended with that one alone in hand."),
    comment="What an ingest process that follows a dead one works on: finds the message that ends processes.",
)

inbox = Table(
    "inbox",
    metadata,
    Column("source", KEY, primary_key=True, comment="CloudEvents source."),
    Column("id", KEY, primary_key=True, comment="CloudEvents id."),
    Column("received_at", MOMENT, nullable=False, comment="When it first arrived."),
    Column("fate", KEY, nullable=False, comment="applied, duplicate, pending, rejected or dismissed: the newest."),
    Column("digest", LargeBinary, nullable=False, comment="First 16 bytes of the SHA-256 of its data."),
    Column("natural_key", LargeBinary, comment="First 16 bytes of the SHA-256 of what makes the event itself unique."),
    Index("uq_inbox_natural_key", "natural_key", unique=True, postgresql_where=text("natural_key IS NOT NULL")),
    comment="The gate: every message ever settled, once, kept for ever.",
)

message = Table(
    "message",
    metadata,
    Column("key", ID, primary_key=True, comment="What REST calls it."),
    Column("station", KEY, nullable=False, comment="Station whose topic it came on."),
    Column("kind", KEY, comment="Kind of topic it belongs to; null: unreadable."),
    Column("source", KEY, comment="CloudEvents source; null: unreadable."),
    Column("id", KEY, comment="CloudEvents id; null: unreadable."),
    Column("type", KEY, comment="CloudEvents type; null: unreadable."),
    Column("sha256", KEY, nullable=False, comment="SHA-256 of the bytes, hex."),
    Column("body", LargeBinary, nullable=False, comment="The bytes as they came."),
    Column("fate", KEY, nullable=False, comment="pending, rejected, dismissed, or applied once it could be."),
    Column("reasons", Text, nullable=False, comment="Why, as JSON: [{code, text, facts}]."),
    Column("waits_for", ARRAY(Text), nullable=False, comment="What it waits for: serial:…, part:…, station:…"),
    Column("received_at", MOMENT, nullable=False, comment="When it first arrived."),
    Column("settled_at", MOMENT, comment="When its fate became final."),
    Column("settled_by", Text, comment="Who dismissed it; null: the MES."),
    Index("ix_message_fate", "fate", "key"),
    Index("uq_message_sha256", "station", "sha256", unique=True),
    Index("ix_message_source_id", "source", "id"),
    comment="Bodies of messages that were not applied at once: pending, rejected, dismissed.",
)
