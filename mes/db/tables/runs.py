"""What was measured, while it happens and afterwards: runs, telemetry, recordings, inventories."""

from sqlalchemy import Boolean, Column, Double, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY

from mes.db.tables.columns import ID, KEY, MOMENT, metadata, site

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
    Column("verdicts", ARRAY(Text), comment="pass, fail, error or unset per value; null: each passed."),
    Column("connections", Text, comment="Connections with our verdicts as JSON."),
    Column("defects", Text, comment="Defects as JSON."),
    Column("digest", KEY, nullable=False, comment="SHA-256 over what was reported, as bound in the journal."),
    Column("notes", Text, comment="What a foreign format says beside values, as JSON: steps, diagnoses, problems …"),
    Index("ix_run_unit_id", "unit_id"),
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
    site(),
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
    Column("broken_off", Text, comment="How its program ended without the run's end, as the station said."),
    Column("broken_off_after", Integer, comment="Number of the last line before that; a later line refutes it."),
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
