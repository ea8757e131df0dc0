"""The whole schema in one reading.

Ids are UUIDv7 made by the writer unless said otherwise. Texts that are keys compare by bytes (`COLLATE "C"`). History
is rows that are closed, never overwritten. Partitions, the exclusion constraints' extension and the `measurement`
view are in the migrations; a test compares the rest of the migrations with this module.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSTZRANGE, UUID, ExcludeConstraint
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


def _site() -> Column[str]:
    return Column("site", KEY, nullable=False, server_default=SITE_DEFAULT, comment="Site that this row belongs to.")


def _subject() -> tuple[Column[int], Column[bytes]]:
    """The two columns that chain a subject's journal entries; only ever changed with the row locked."""
    return (
        Column(
            "journal_number", Integer, nullable=False, server_default="0", comment="Journal entries naming it so far."
        ),
        Column("journal_hash", LargeBinary, comment="SHA-256 of its newest journal entry; null before the first."),
    )


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
    *_subject(),
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
    _site(),
    Column("name", KEY, nullable=False, comment="Name of the line."),
    Column("time_zone", KEY, nullable=False, comment="IANA time zone of its calendar."),
    Column("document", Text, nullable=False, comment="Shifts, exceptions and plan per shift as canonical JSON."),
    *_subject(),
    UniqueConstraint("site", "name"),
    comment="Production lines with their calendars.",
)

station = Table(
    "station",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    _site(),
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

station_journal = Table(
    "station_journal",
    metadata,
    Column("id", ID, ForeignKey("station.id"), primary_key=True, comment="Station."),
    *_subject(),
    comment="What stations are named by in the journal: apart from `station`, which every sign of life writes.",
)

work_order = Table(
    "work_order",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    _site(),
    Column("number", KEY, nullable=False, comment="The ERP's number."),
    Column("product_id", ID, ForeignKey("product.id"), nullable=False, comment="Definition its units are built to."),
    Column("quantity", Integer, nullable=False, comment="Units ordered."),
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
    *_subject(),
    UniqueConstraint("site", "number"),
    CheckConstraint("quantity > 0", "quantity_positive"),
    Index("ix_work_order_state", "state", "id"),
    comment="Work orders.",
)

unit = Table(
    "unit",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id; also its trace id."),
    _site(),
    Column("part", KEY, nullable=False, comment="Part number."),
    Column("maker", KEY, nullable=False, server_default="", comment="Maker; empty for our own or unknown."),
    Column("serial", KEY, nullable=False, comment="The serial it carries now; history is in identifier."),
    Column("product_id", ID, ForeignKey("product.id"), comment="Definition it is judged by; null: bought, undefined."),
    Column("work_order_id", ID, ForeignKey("work_order.id"), comment="Order it was made for; null: bought."),
    Column("state", KEY, nullable=False, comment="See the table of moves in mes.domain.unit."),
    Column("progress", Text, nullable=False, comment="The folded state as JSON; see mes.domain.unit.Progress."),
    Column("created_at", MOMENT, nullable=False, comment="When this row was made."),
    Column("received_at", MOMENT, comment="When it was received; null: made here, or only ever scanned."),
    *_subject(),
    Index("ix_unit_work_order_id", "work_order_id", "state"),
    Index("ix_unit_part", "part", "id"),
    Index("ix_unit_state", "state", "id"),
    comment="Serialized units, made and bought.",
)

identifier = Table(
    "identifier",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    Column("unit_id", ID, ForeignKey("unit.id"), nullable=False, comment="Unit that carries it."),
    Column("kind", KEY, nullable=False, comment="serial, maker_serial, mac, uuid, …"),
    Column("part", KEY, nullable=False, comment="Part number of the unit."),
    Column("maker", KEY, nullable=False, server_default="", comment="Maker of the unit; empty for our own or unknown."),
    Column("value", KEY, nullable=False, comment="The text printed or read."),
    Column("during", TSTZRANGE, nullable=False, comment="When the unit carried it."),
    CheckConstraint("NOT isempty(during)", "during_not_empty"),
    Index("ix_identifier_value", "value"),
    Index("ix_identifier_unit_id", "unit_id"),
    Index(
        "uq_identifier_open",
        "kind",
        "part",
        "maker",
        "value",
        unique=True,
        postgresql_where=text("upper_inf(during)"),
    ),
    comment="What is printed on units. Relabelling closes a row and opens another.",
)

lot = Table(
    "lot",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    _site(),
    Column("part", KEY, nullable=False, comment="Part number."),
    Column("maker", KEY, nullable=False, server_default="", comment="Maker; empty when not told."),
    Column("lot", KEY, nullable=False, comment="The maker's lot number."),
    Column("quantity_received", Numeric, comment="Received so far; null: never received."),
    Column("date_code", Text, comment="Date code of the newest receipt that told one."),
    Column("created_at", MOMENT, nullable=False, comment="When this row was made."),
    *_subject(),
    UniqueConstraint("site", "part", "maker", "lot"),
    Index("ix_lot_lot", "lot"),
    comment="Lots of material.",
)

installation = Table(
    "installation",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    Column("parent_id", ID, nullable=False, comment="Unit it is in."),
    Column("position", KEY, nullable=False, comment="Where, relative to the parent."),
    Column("child_id", ID, comment="Serialized child; null for a lot."),
    Column("lot_id", ID, comment="Lot; null for a serialized child."),
    Column("part", KEY, nullable=False, comment="Part number of the child or lot."),
    Column("maker", KEY, nullable=False, server_default="", comment="Maker of the child or lot."),
    Column("quantity", Numeric, comment="Of a lot."),
    Column("during", TSTZRANGE, nullable=False, comment="When it was so (effective time)."),
    Column("recorded_at", MOMENT, nullable=False, comment="Since when we believe it."),
    Column("superseded_at", MOMENT, comment="Until when we believed it; null: still."),
    Column("installed_key", KEY, nullable=False, comment="Key of the entry that installed it."),
    Column("removed_key", KEY, comment="Key of the entry that took it out."),
    Column("deviations", ARRAY(Text), nullable=False, comment="Reason codes noted at installation."),
    Column(
        "loaded",
        ARRAY(ID),
        nullable=False,
        server_default="{}",
        comment="Lots loaded at its station then, where its scan named none: its own, or several, one of them its.",
    ),
    CheckConstraint("NOT isempty(during)", "during_not_empty"),
    CheckConstraint("child_id IS NULL OR (lot_id IS NULL AND loaded = '{}')", "child_or_lot"),
    CheckConstraint("parent_id <> child_id", "not_itself"),
    ExcludeConstraint(
        ("child_id", "="),
        ("during", "&&"),
        name="ex_installation_one_place",
        where=text("superseded_at IS NULL AND child_id IS NOT NULL"),
        using="gist",
        deferrable=True,
        initially="DEFERRED",
    ),
    ExcludeConstraint(
        ("parent_id", "="),
        ("position", "="),
        ("during", "&&"),
        name="ex_installation_one_part",
        where=text("superseded_at IS NULL AND child_id IS NOT NULL"),
        using="gist",
        deferrable=True,
        initially="DEFERRED",
    ),
    Index("ix_installation_parent_id", "parent_id"),
    Index("ix_installation_child_id", "child_id", postgresql_where=text("child_id IS NOT NULL")),
    Index("ix_installation_lot_id", "lot_id", postgresql_where=text("lot_id IS NOT NULL")),
    Index(
        "ix_installation_loaded",
        "loaded",
        postgresql_using="gin",
        postgresql_where=text("lot_id IS NULL AND loaded <> '{}'"),
    ),
    Index("ix_installation_part", "part", postgresql_where=text("child_id IS NULL AND lot_id IS NULL")),
    comment="Genealogy in two times: when it was so, and when we believed it. Corrections supersede and add.",
)

loading = Table(
    "loading",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    _site(),
    Column("station", KEY, nullable=False, comment="Station it is loaded at."),
    Column("place", KEY, nullable=False, server_default="", comment="Feeder there; empty: the one of its part."),
    Column("part", KEY, nullable=False, comment="Part number of the lot."),
    Column("maker", KEY, nullable=False, server_default="", comment="Maker, as the station said; empty: it did not."),
    Column("lot_id", ID, nullable=False, comment="Lot."),
    Column("quantity", Numeric, comment="How much was loaded; null: not told."),
    Column("quantity_left", Numeric, comment="How much was unloaded; null: not told, or still loaded."),
    Column("during", TSTZRANGE, nullable=False, comment="When it was so (effective time)."),
    Column("recorded_at", MOMENT, nullable=False, comment="Since when we believe it."),
    Column("superseded_at", MOMENT, comment="Until when we believed it; null: still."),
    Column("loaded_key", KEY, nullable=False, comment="Key of the entry that loaded it."),
    Column("unloaded_key", KEY, comment="Key of the entry that unloaded it, or loaded another lot there."),
    CheckConstraint("NOT isempty(during)", "during_not_empty"),
    ExcludeConstraint(
        ("site", "="),
        ("station", "="),
        ("place", "="),
        ("during", "&&"),
        name="ex_loading_one_lot_at_a_place",
        where=text("superseded_at IS NULL AND place <> ''"),
        using="gist",
        deferrable=True,
        initially="DEFERRED",
    ),
    ExcludeConstraint(
        ("site", "="),
        ("station", "="),
        ("part", "="),
        ("during", "&&"),
        name="ex_loading_one_lot_of_a_part",
        where=text("superseded_at IS NULL AND place = ''"),
        using="gist",
        deferrable=True,
        initially="DEFERRED",
    ),
    Index("ix_loading_station", "station", postgresql_where=text("superseded_at IS NULL")),
    Index("ix_loading_lot_id", "lot_id"),
    comment="Lots loaded at stations, in two times. Installations that name no lot took it from here.",
)

attempt = Table(
    "attempt",
    metadata,
    Column("unit_id", ID, primary_key=True, comment="Unit."),
    Column("step", KEY, primary_key=True, comment="Step of its route, as the station said."),
    Column("number", Integer, primary_key=True, comment="1, 2, … in the order of effective time."),
    Column("station", KEY, nullable=False, comment="Station that did it."),
    Column("run", KEY, comment="The station's own name for it."),
    Column("run_id", ID, comment="The run record, once reported."),
    Column("started_at", MOMENT, nullable=False, comment="Effective start."),
    Column("ended_at", MOMENT, comment="Effective end; null: open."),
    Column("claim", KEY, comment="Outcome the station claimed."),
    Column("outcome", KEY, comment="Our verdict; null: open."),
    Column("counted", Boolean, nullable=False, comment="Whether it moved the route."),
    Column("deviations", ARRAY(Text), nullable=False, comment="Reason codes."),
    Column("opened_key", KEY, nullable=False, comment="Key of the entry that opened it."),
    Column("closed_key", KEY, comment="Key of the entry that closed it."),
    Index("ix_attempt_station", "station", "ended_at"),
    comment="Attempts of steps, as folded from the facts: may be renumbered by a late fact.",
)

layout = Table(
    "layout",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    Column("digest", KEY, nullable=False, unique=True, comment="SHA-256 over the columns below."),
    Column("names", ARRAY(Text), nullable=False, comment="Measurement names."),
    Column("units", ARRAY(Text), nullable=False, comment="Unit of each value; null: none."),
    Column("lows", ARRAY(Double), nullable=False, comment="Lower limit in force, inclusive; null: none."),
    Column("highs", ARRAY(Double), nullable=False, comment="Upper limit in force, inclusive; null: none."),
    Column("positions", ARRAY(Text), nullable=False, comment="Child the value belongs to; null: the unit itself."),
    comment="What a run measured, without the values: shared by all runs of the same shape.",
)

run = Table(
    "run",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id, made at receipt; also the partition key."),
    Column("unit_id", ID, nullable=False, comment="Unit."),
    Column("product_id", ID, comment="Definition it was judged by."),
    Column("step", KEY, nullable=False, comment="Step, as the station said."),
    Column("station", KEY, nullable=False, comment="Station."),
    Column("run", KEY, comment="The station's own name for it."),
    Column("purpose", KEY, nullable=False, comment="production, golden, gauge or engineering."),
    Column("started_at", MOMENT, nullable=False, comment="Start, as the station said."),
    Column("ended_at", MOMENT, nullable=False, comment="End, as the station said."),
    Column("received_at", MOMENT, nullable=False, comment="When it arrived here."),
    Column("operator", Integer, comment="Number of the operator; see operator."),
    Column("fixture", Text, comment="Fixture used."),
    Column("program", Text, comment="Test program."),
    Column("program_version", Text, comment="Its version."),
    Column("claim", KEY, nullable=False, comment="Outcome the station claimed."),
    Column("verdict", KEY, nullable=False, comment="Our own judgement."),
    Column("reasons", Text, nullable=False, comment="Why, as JSON: [{code, text, facts}]."),
    Column("layout_id", ID, comment="Names, units and limits of the values; null: none were measured."),
    Column("numbers", ARRAY(Double), comment="Values that are numbers, in the layout's order; null where not."),
    Column("others", Text, comment="JSON {index: value} of values that are not numbers."),
    Column("verdicts", ARRAY(Text), comment="pass, fail, error or unset per value."),
    Column("connections", Text, comment="Connections with our verdicts as JSON."),
    Column("defects", Text, comment="Defects as JSON."),
    Column("digest", KEY, nullable=False, comment="SHA-256 over what was reported, as bound in the journal."),
    Index("ix_run_unit_id", "unit_id"),
    Index("ix_run_station", "station", "run"),
    postgresql_partition_by="RANGE (id)",
    comment="One reported attempt each, immutable: the station's claim and our verdict.",
)

sample_chunk = Table(
    "sample_chunk",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id, made at receipt; also the partition key."),
    Column("unit_id", ID, nullable=False, comment="Unit."),
    Column("step", KEY, nullable=False, comment="Step in progress."),
    Column("station", KEY, nullable=False, comment="Station."),
    Column("run", KEY, comment="The station's own name for the attempt."),
    Column("channel", KEY, nullable=False, comment="What was sampled."),
    Column("start", MOMENT, nullable=False, comment="Time of the first sample."),
    Column("period_s", Double, comment="Seconds between samples; null: see offsets_s."),
    Column("offsets_s", ARRAY(Double), comment="Seconds after start of each sample, when not regular."),
    Column("samples", Integer, nullable=False, comment="Number of values, gaps included."),
    Column("low", Double, comment="Smallest value; null: only gaps."),
    Column("high", Double, comment="Largest value."),
    Column("mean", Double, comment="Mean of the values."),
    Column("values", ARRAY(Double), nullable=False, comment="The values; null is a gap."),
    Column(
        "merged", Boolean, nullable=False, server_default=text("false"), comment="Made of shorter ones when they aged."
    ),
    Index("ix_sample_chunk_unit_id", "unit_id", "channel", "start"),
    Index("ix_sample_chunk_young", "start", "unit_id", postgresql_where=text("NOT merged")),
    postgresql_partition_by="RANGE (id)",
    comment="Telemetry: a stretch of one channel with its extremes.",
)

recording = Table(
    "recording",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id; that of its run, too."),
    _site(),
    Column("station", KEY, nullable=False, comment="Station."),
    Column("run", KEY, nullable=False, comment="The station's own name for the run."),
    Column("unit_id", ID, nullable=False, comment="Unit."),
    Column("step", KEY, nullable=False, comment="Step, as the station said."),
    Column("purpose", KEY, nullable=False, comment="production, golden, gauge or engineering."),
    Column("operator", Integer, comment="Number of the operator; see operator."),
    Column("fixture", Text, comment="Fixture used."),
    Column("lines", Integer, nullable=False, server_default="0", comment="Lines known of it."),
    Column("began_at", MOMENT, comment="Time of its earliest line, as the program said."),
    Column("last_at", MOMENT, comment="Time of its latest line, as the program said."),
    Column("started_at", MOMENT, comment="Effective start; null: its start did not come yet."),
    Column("ended_at", MOMENT, comment="Effective end; null: it goes on, or its end never came."),
    Column("claim", KEY, comment="Outcome its end claims; null: no end yet."),
    Column("verdict", KEY, comment="Our own judgement; null: no end yet."),
    Column("interrupted_at", MOMENT, comment="Since when its end is not waited for; null: it is, or it came."),
    Column("heard_at", MOMENT, nullable=False, comment="When lines of it last came."),
    UniqueConstraint("site", "station", "run", "unit_id", "step"),
    Index("ix_recording_unit_id", "unit_id"),
    Index("ix_recording_open", "heard_at", postgresql_where=text("ended_at IS NULL AND interrupted_at IS NULL")),
    comment="Runs that a program tells of line by line while they go on.",
)

recording_line = Table(
    "recording_line",
    metadata,
    Column("recording_id", ID, primary_key=True, comment="Recording."),
    Column("number", Integer, primary_key=True, comment="The line's sequence number."),
    Column("digest", LargeBinary, primary_key=True, comment="First 8 bytes of the SHA-256 of the line."),
    Column("artifact", KEY, nullable=False, comment="What the line tells; empty: it breaks the schema."),
    Column("at", MOMENT, comment="The line's time, as the program said."),
    Column("received_at", MOMENT, nullable=False, comment="When it first arrived."),
    Column("line", Text, nullable=False, comment="The line as JSON."),
    comment="Every distinct line of a recording: append-only, so that no order of arrival matters.",
)

inventory = Table(
    "inventory",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    Column("unit_id", ID, nullable=False, comment="Unit that was read."),
    Column("at", MOMENT, nullable=False, comment="Effective time of the reading."),
    Column("station", KEY, nullable=False, comment="Station."),
    Column("run", KEY, comment="The station's own name for the attempt that it belongs to."),
    Column("items", Text, nullable=False, comment="What was read, as JSON; see mes.domain.inventory.Item."),
    Index("ix_inventory_unit_id", "unit_id", "at"),
    comment="What electronics said is in units. Compared with what was built in at each reading.",
)

in_hand = Table(
    "in_hand",
    metadata,
    Column("client_id", KEY, primary_key=True, comment="Ingest process, by its fixed name at the broker."),
    Column("messages", Integer, nullable=False, comment="Redelivered messages it has in hand."),
    Column("digest", LargeBinary, comment="SHA-256 of the one it has in hand alone; null: several."),
    Column("deaths", Integer, nullable=False, comment="How often a process ended with that one alone in hand."),
    comment="What an ingest process that follows a dead one works on: finds the message that ends processes.",
)

hold = Table(
    "hold",
    metadata,
    Column("id", ID, primary_key=True, comment="Internal id."),
    _site(),
    Column("scope", KEY, nullable=False, comment="unit, lot, part, station or work_order."),
    Column("key", KEY, nullable=False, comment="Unit or lot id, part number, station name or order number."),
    Column("shown_key", KEY, nullable=False, comment="The key as it was asked for: a serial, a lot number, …"),
    Column("reason", Text, nullable=False, comment="Why."),
    Column("during", TSTZRANGE, nullable=False, comment="When it holds."),
    Column("placed_by", Text, nullable=False, comment="Who placed it."),
    Column("released_by", Text, comment="Who released it."),
    *_subject(),
    CheckConstraint("NOT isempty(during)", "during_not_empty"),
    Index("ix_hold_key", "key"),
    comment="Holds: nothing held may start, pack or ship.",
)

nonconformance = Table(
    "nonconformance",
    metadata,
    Column("id", ID, primary_key=True, comment="Derived from the fact that opened it."),
    _site(),
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
    *_subject(),
    Index("ix_nonconformance_unit_id", "unit_id"),
    Index("ix_nonconformance_state", "state", "id"),
    comment="Nonconformances: one per failed attempt, until a retest passes or a disposition rules.",
)

operator = Table(
    "operator",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True, comment="What the record says instead of a name."),
    Column("name", KEY, unique=True, comment="Name or badge; null: erased."),
    comment="The only place where operators' names are; rows can be erased without touching the record.",
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
