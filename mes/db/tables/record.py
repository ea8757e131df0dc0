"""The journal, its one order, and who has read how far."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, text

from mes.db.tables.columns import ID, KEY, MOMENT, Xid8, metadata, subject

station_journal = Table(
    "station_journal",
    metadata,
    Column("id", ID, ForeignKey("station.id"), primary_key=True, comment="Station."),
    *subject(),
    comment="What stations are named by in the journal: apart from `station`, which every sign of life writes.",
)

journal = Table(
    "journal",
    metadata,
    Column("id", ID, primary_key=True, comment="Id of the entry, as in its body."),
    Column("era", SmallInteger, nullable=False, server_default="1", comment="The cluster that xid belongs to: 1, 2, …"),
    Column("xid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()"), comment="For numbering only."),
    Column("recorded_at", MOMENT, nullable=False, comment="When it was written."),
    Column("type", KEY, nullable=False, comment="Event type."),
    Column("body", Text, nullable=False, comment="The entry: a CloudEvent as canonical JSON, byte for byte."),
    Index("ix_journal_xid", "era", "xid", "id"),
    comment="Everything that happened: append-only.",
)

journal_position = Table(
    "journal_position",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False, comment="0, 1, 2 … without a hole."),
    Column("entry_id", ID, nullable=False, unique=True, comment="The entry."),
    comment="The order of the journal: the only cursor there is. Written by the sequencer alone.",
)

journal_subject = Table(
    "journal_subject",
    metadata,
    Column("subject_id", ID, primary_key=True, comment="Unit, order, lot, … that the entry names."),
    Column("number", Integer, primary_key=True, comment="The subject's own running number, 1, 2, …"),
    Column("entry_id", ID, nullable=False, comment="The entry."),
    Column("effective_at", MOMENT, comment="Effective time of the fact or decision it records; null: it records none."),
    comment="Which entries name a subject.",
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("one", SmallInteger, primary_key=True, server_default="1", comment="Always 1: there is one row."),
    Column("next_position", BigInteger, nullable=False, comment="Position that the next entry gets."),
    Column("era", SmallInteger, nullable=False, comment="Era of the entries that are written now."),
    Column("xid", Xid8(), nullable=False, comment="Transaction of the newest numbered entry of this era; 0: none yet."),
    Column("entry_id", ID, comment="The newest numbered entry of this era; null: none yet."),
    Column("system_identifier", KEY, nullable=False, comment="The cluster of this era, in which xid has a meaning."),
    CheckConstraint("one = 1", "single_row"),
    comment="Where the sequencer stands.",
)

feed = Table(
    "feed",
    metadata,
    Column("name", KEY, primary_key=True, comment="What reads the journal: traces, …"),
    Column("position", BigInteger, nullable=False, comment="Position of the last entry it is done with; -1: none."),
    Column("moved_at", MOMENT, nullable=False, comment="When it got there, or was set there."),
    Column("failing_since", MOMENT, comment="Since when what comes next can't be delivered; null: it can."),
    Column("problem", Text, comment="Why not, as its last try said."),
    comment="Cursors over the journal: how far each feed has come, and what keeps it.",
)
