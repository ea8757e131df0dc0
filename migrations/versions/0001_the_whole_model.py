"""The whole model

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "XID8"


MEASUREMENT_VIEW = """
CREATE VIEW measurement AS
SELECT r.id AS run_id, r.unit_id, r.step, r.station, r.purpose, r.started_at, r.ended_at, r.verdict AS run_verdict,
       v.ordinal, l.names[v.ordinal] AS name, v.value, l.units[v.ordinal] AS unit, l.lows[v.ordinal] AS low,
       l.highs[v.ordinal] AS high, l.positions[v.ordinal] AS position,
       CASE WHEN r.verdicts IS NULL THEN 'pass' ELSE r.verdicts[v.ordinal] END AS verdict
FROM run r
JOIN layout l ON l.id = r.layout_id
CROSS JOIN LATERAL unnest(r.numbers) WITH ORDINALITY AS v (value, ordinal)
"""

APPEND_ONLY = """
CREATE FUNCTION mes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def upgrade() -> None:
    # A migration that waits for a lock makes the floor wait behind it: give up instead.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")

    op.create_table(
        "account",
        sa.Column("name", sa.Text(collation="C"), nullable=False, comment="Login name."),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="Argon2."),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False, comment="What the person may do."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was made."),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True, comment="Since when it is closed."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
        comment="People who log in.",
    )
    op.create_table(
        "login",
        sa.Column(
            "digest",
            sa.Text(collation="C"),
            nullable=False,
            comment="SHA-256 of the browser's secret, hex; it is never stored.",
        ),
        sa.Column("account", sa.Text(collation="C"), nullable=False, comment="Who logged in."),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False, comment="When the password was given."),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was last used, to some minutes."
        ),
        sa.Column(
            "closed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was closed; null: open, unless too old or unused for too long.",
        ),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name=op.f("fk_login_account")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login")),
        comment="Logins of people: one per browser.",
    )
    op.create_index("ix_login_account", "login", ["account"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit."),
        sa.Column("step", sa.Text(collation="C"), nullable=False, comment="Step of its route, as the station said."),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, … in the order of effective time."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station that did it."),
        sa.Column("run", sa.Text(collation="C"), nullable=True, comment="The station's own name for it."),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=True, comment="The run record, once reported."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="Effective start."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="Effective end; null: open."),
        sa.Column("claim", sa.Text(collation="C"), nullable=True, comment="Outcome the station claimed."),
        sa.Column("outcome", sa.Text(collation="C"), nullable=True, comment="Our verdict; null: open."),
        sa.Column("counted", sa.Boolean(), nullable=False, comment="Whether it moved the route."),
        sa.Column("deviations", postgresql.ARRAY(sa.Text()), nullable=False, comment="Reason codes."),
        sa.Column("opened_key", sa.Text(collation="C"), nullable=False, comment="Key of the entry that opened it."),
        sa.Column("closed_key", sa.Text(collation="C"), nullable=True, comment="Key of the entry that closed it."),
        sa.PrimaryKeyConstraint("unit_id", "step", "number", name=op.f("pk_attempt")),
        comment="Attempts of steps, as folded from the facts: may be renumbered by a late fact.",
    )
    op.create_index(
        "ix_attempt_station",
        "attempt",
        ["station"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("scope", sa.Text(collation="C"), nullable=False, comment="unit, lot, part, station or work_order."),
        sa.Column(
            "key",
            sa.Text(collation="C"),
            nullable=False,
            comment="Unit or lot id, part number, station name or order number.",
        ),
        sa.Column(
            "shown_key",
            sa.Text(collation="C"),
            nullable=False,
            comment="The key as it was asked for: a serial, a lot number, …",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why."),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False, comment="When it holds."),
        sa.Column("placed_by", sa.Text(), nullable=False, comment="Who placed it."),
        sa.Column("released_by", sa.Text(), nullable=True, comment="Who released it."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.CheckConstraint("NOT isempty(during)", name=op.f("ck_hold_during_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
        comment="Holds: nothing held may start, pack or ship.",
    )
    op.create_index("ix_hold_key", "hold", ["key"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("source", sa.Text(collation="C"), nullable=False, comment="CloudEvents source."),
        sa.Column("id", sa.Text(collation="C"), nullable=False, comment="CloudEvents id."),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it first arrived."),
        sa.Column(
            "fate",
            sa.Text(collation="C"),
            nullable=False,
            comment="applied, duplicate, pending, rejected or dismissed: the newest.",
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="First 16 bytes of the SHA-256 of its data."),
        sa.Column(
            "natural_key",
            sa.LargeBinary(),
            nullable=True,
            comment="First 16 bytes of the SHA-256 of what makes the event itself unique.",
        ),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_inbox")),
        comment="The gate: every message ever settled, once, kept for ever.",
    )
    op.create_index(
        "uq_inbox_natural_key",
        "inbox",
        ["natural_key"],
        unique=True,
        postgresql_where=sa.text("natural_key IS NOT NULL"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("parent_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit it is in."),
        sa.Column("position", sa.Text(collation="C"), nullable=False, comment="Where, relative to the parent."),
        sa.Column("child_id", sa.UUID(as_uuid=False), nullable=True, comment="Serialized child; null for a lot."),
        sa.Column("lot_id", sa.UUID(as_uuid=False), nullable=True, comment="Lot; null for a serialized child."),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number of the child or lot."),
        sa.Column(
            "maker", sa.Text(collation="C"), server_default="", nullable=False, comment="Maker of the child or lot."
        ),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="Of a lot."),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False, comment="When it was so (effective time)."),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, comment="Since when we believe it."),
        sa.Column(
            "superseded_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when we believed it; null: still.",
        ),
        sa.Column(
            "installed_key", sa.Text(collation="C"), nullable=False, comment="Key of the entry that installed it."
        ),
        sa.Column("removed_key", sa.Text(collation="C"), nullable=True, comment="Key of the entry that took it out."),
        sa.Column(
            "deviations", postgresql.ARRAY(sa.Text()), nullable=False, comment="Reason codes noted at installation."
        ),
        sa.Column(
            "loaded",
            postgresql.ARRAY(sa.UUID(as_uuid=False)),
            server_default="{}",
            nullable=False,
            comment="Lots loaded at its station then, where its scan named none: its own, or several, one of them its.",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("child_id"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("superseded_at IS NULL AND child_id IS NOT NULL"),
            deferrable=True,
            initially="DEFERRED",
            using="gist",
            name="ex_installation_one_place",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("parent_id"), "="),
            (sa.column("position"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("superseded_at IS NULL AND child_id IS NOT NULL"),
            deferrable=True,
            initially="DEFERRED",
            using="gist",
            name="ex_installation_one_part",
        ),
        sa.CheckConstraint(
            "child_id IS NULL OR (lot_id IS NULL AND loaded = '{}')", name=op.f("ck_installation_child_or_lot")
        ),
        sa.CheckConstraint("NOT isempty(during)", name=op.f("ck_installation_during_not_empty")),
        sa.CheckConstraint("parent_id <> child_id", name=op.f("ck_installation_not_itself")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        comment="Genealogy in two times: when it was so, and when we believed it. Corrections supersede and add.",
    )
    op.create_index(
        "ix_installation_child_id",
        "installation",
        ["child_id"],
        unique=False,
        postgresql_where=sa.text("child_id IS NOT NULL"),
    )
    op.create_index(
        "ix_installation_lot_id",
        "installation",
        ["lot_id"],
        unique=False,
        postgresql_where=sa.text("lot_id IS NOT NULL"),
    )
    op.create_index(
        "ix_installation_loaded",
        "installation",
        ["loaded"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("lot_id IS NULL AND loaded <> '{}'"),
    )
    op.create_index(
        "ix_installation_part",
        "installation",
        ["part"],
        unique=False,
        postgresql_where=sa.text("child_id IS NULL AND lot_id IS NULL"),
    )
    op.create_index("ix_installation_parent_id", "installation", ["parent_id"], unique=False)
    op.create_table(
        "loading",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station it is loaded at."),
        sa.Column(
            "place",
            sa.Text(collation="C"),
            server_default="",
            nullable=False,
            comment="Feeder there; empty: the one of its part.",
        ),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number of the lot."),
        sa.Column(
            "maker",
            sa.Text(collation="C"),
            server_default="",
            nullable=False,
            comment="Maker, as the station said; empty: it did not.",
        ),
        sa.Column("lot_id", sa.UUID(as_uuid=False), nullable=False, comment="Lot."),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="How much was loaded; null: not told."),
        sa.Column(
            "quantity_left",
            sa.Numeric(),
            nullable=True,
            comment="How much was unloaded; null: not told, or still loaded.",
        ),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False, comment="When it was so (effective time)."),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, comment="Since when we believe it."),
        sa.Column(
            "superseded_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when we believed it; null: still.",
        ),
        sa.Column("loaded_key", sa.Text(collation="C"), nullable=False, comment="Key of the entry that loaded it."),
        sa.Column(
            "unloaded_key",
            sa.Text(collation="C"),
            nullable=True,
            comment="Key of the entry that unloaded it, or loaded another lot there.",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("site"), "="),
            (sa.column("station"), "="),
            (sa.column("part"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("superseded_at IS NULL AND place = ''"),
            deferrable=True,
            initially="DEFERRED",
            using="gist",
            name="ex_loading_one_lot_of_a_part",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("site"), "="),
            (sa.column("station"), "="),
            (sa.column("place"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("superseded_at IS NULL AND place <> ''"),
            deferrable=True,
            initially="DEFERRED",
            using="gist",
            name="ex_loading_one_lot_at_a_place",
        ),
        sa.CheckConstraint("NOT isempty(during)", name=op.f("ck_loading_during_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loading")),
        comment="Lots loaded at stations, in two times. Installations that name no lot took it from here.",
    )
    op.create_index("ix_loading_lot_id", "loading", ["lot_id"], unique=False)
    op.create_index(
        "ix_loading_station", "loading", ["station"], unique=False, postgresql_where=sa.text("superseded_at IS NULL")
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Id of the entry, as in its body."),
        sa.Column(
            "era",
            sa.SmallInteger(),
            server_default="1",
            nullable=False,
            comment="The cluster that xid belongs to: 1, 2, …",
        ),
        sa.Column(
            "xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False, comment="For numbering only."
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, comment="When it was written."),
        sa.Column("type", sa.Text(collation="C"), nullable=False, comment="Event type."),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="The entry: a CloudEvent as canonical JSON, byte for byte."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        comment="Everything that happened: append-only.",
    )
    op.create_index("ix_journal_xid", "journal", ["era", "xid", "id"], unique=False)
    op.create_table(
        "journal_position",
        sa.Column(
            "position", sa.BigInteger(), autoincrement=False, nullable=False, comment="0, 1, 2 … without a hole."
        ),
        sa.Column("entry_id", sa.UUID(as_uuid=False), nullable=False, comment="The entry."),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_journal_position")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_journal_position_entry_id")),
        comment="The order of the journal: the only cursor there is. Written by the sequencer alone.",
    )
    op.create_table(
        "journal_subject",
        sa.Column(
            "subject_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit, order, lot, … that the entry names."
        ),
        sa.Column("number", sa.Integer(), nullable=False, comment="The subject's own running number, 1, 2, …"),
        sa.Column("entry_id", sa.UUID(as_uuid=False), nullable=False, comment="The entry."),
        sa.Column(
            "effective_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Effective time of the fact or decision it records; null: it records none.",
        ),
        sa.PrimaryKeyConstraint("subject_id", "number", name=op.f("pk_journal_subject")),
        comment="Which entries name a subject.",
    )
    op.create_table(
        "layout",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("digest", sa.Text(collation="C"), nullable=False, comment="SHA-256 over the columns below."),
        sa.Column("names", postgresql.ARRAY(sa.Text()), nullable=False, comment="Measurement names."),
        sa.Column("units", postgresql.ARRAY(sa.Text()), nullable=False, comment="Unit of each value; null: none."),
        sa.Column(
            "lows",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Lower limit in force, inclusive; null: none.",
        ),
        sa.Column(
            "highs",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Upper limit in force, inclusive; null: none.",
        ),
        sa.Column(
            "positions",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Child the value belongs to; null: the unit itself.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layout")),
        sa.UniqueConstraint("digest", name=op.f("uq_layout_digest")),
        comment="What a run measured, without the values: shared by all runs of the same shape.",
    )
    op.create_table(
        "feed",
        sa.Column("name", sa.Text(collation="C"), nullable=False, comment="What reads the journal: traces, …"),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=False,
            comment="Position of the last entry it is done with; -1: none.",
        ),
        sa.Column(
            "moved_at", sa.DateTime(timezone=True), nullable=False, comment="When it got there, or was set there."
        ),
        sa.Column(
            "failing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when what comes next can't be delivered; null: it can.",
        ),
        sa.Column("problem", sa.Text(), nullable=True, comment="Why not, as its last try said."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feed")),
        comment="Cursors over the journal: how far each feed has come, and what keeps it.",
    )
    op.create_table(
        "ledger_head",
        sa.Column("one", sa.SmallInteger(), server_default="1", nullable=False, comment="Always 1: there is one row."),
        sa.Column("next_position", sa.BigInteger(), nullable=False, comment="Position that the next entry gets."),
        sa.Column("era", sa.SmallInteger(), nullable=False, comment="Era of the entries that are written now."),
        sa.Column(
            "xid",
            Xid8(),
            nullable=False,
            comment="Transaction of the newest numbered entry of this era; 0: none yet.",
        ),
        sa.Column(
            "entry_id",
            sa.UUID(as_uuid=False),
            nullable=True,
            comment="The newest numbered entry of this era; null: none yet.",
        ),
        sa.Column(
            "system_identifier",
            sa.Text(collation="C"),
            nullable=False,
            comment="The cluster of this era, in which xid has a meaning.",
        ),
        sa.CheckConstraint("one = 1", name=op.f("ck_ledger_head_single_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_ledger_head")),
        comment="Where the sequencer stands.",
    )
    op.create_table(
        "line",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("name", sa.Text(collation="C"), nullable=False, comment="Name of the line."),
        sa.Column("time_zone", sa.Text(collation="C"), nullable=False, comment="IANA time zone of its calendar."),
        sa.Column(
            "document", sa.Text(), nullable=False, comment="Shifts, exceptions and plan per shift as canonical JSON."
        ),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line")),
        sa.UniqueConstraint("site", "name", name=op.f("uq_line_site_name")),
        comment="Production lines with their calendars.",
    )
    op.create_table(
        "lot",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number."),
        sa.Column(
            "maker", sa.Text(collation="C"), server_default="", nullable=False, comment="Maker; empty when not told."
        ),
        sa.Column("lot", sa.Text(collation="C"), nullable=False, comment="The maker's lot number."),
        sa.Column("quantity_received", sa.Numeric(), nullable=True, comment="Received so far; null: never received."),
        sa.Column("date_code", sa.Text(), nullable=True, comment="Date code of the newest receipt that told one."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was made."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("site", "part", "maker", "lot", name=op.f("uq_lot_site_part_maker_lot")),
        comment="Lots of material.",
    )
    op.create_index("ix_lot_lot", "lot", ["lot"], unique=False)
    op.create_table(
        "message",
        sa.Column("key", sa.UUID(as_uuid=False), nullable=False, comment="What REST calls it."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station whose topic it came on."),
        sa.Column(
            "kind", sa.Text(collation="C"), nullable=True, comment="Kind of topic it belongs to; null: unreadable."
        ),
        sa.Column("source", sa.Text(collation="C"), nullable=True, comment="CloudEvents source; null: unreadable."),
        sa.Column("id", sa.Text(collation="C"), nullable=True, comment="CloudEvents id; null: unreadable."),
        sa.Column("type", sa.Text(collation="C"), nullable=True, comment="CloudEvents type; null: unreadable."),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False, comment="SHA-256 of the bytes, hex."),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="The bytes as they came."),
        sa.Column(
            "fate",
            sa.Text(collation="C"),
            nullable=False,
            comment="pending, rejected, dismissed, or applied once it could be.",
        ),
        sa.Column("reasons", sa.Text(), nullable=False, comment="Why, as JSON: [{code, text, facts}]."),
        sa.Column(
            "waits_for",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="What it waits for: serial:…, part:…, station:…",
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it first arrived."),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True, comment="When its fate became final."),
        sa.Column("settled_by", sa.Text(), nullable=True, comment="Who dismissed it; null: the MES."),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_message")),
        comment="Bodies of messages that were not applied at once: pending, rejected, dismissed.",
    )
    op.create_index("ix_message_fate", "message", ["fate", "key"], unique=False)
    op.create_index("ix_message_source_id", "message", ["source", "id"], unique=False)
    op.create_index("uq_message_sha256", "message", ["station", "sha256"], unique=True)
    op.create_table(
        "operator",
        sa.Column(
            "number",
            sa.Integer(),
            autoincrement=True,
            nullable=False,
            comment="What the record says instead of a name.",
        ),
        sa.Column("name", sa.Text(collation="C"), nullable=True, comment="Name or badge; null: erased."),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_operator")),
        sa.UniqueConstraint("name", name=op.f("uq_operator_name")),
        comment="The only place where operators' names are; rows can be erased without touching the record.",
    )
    op.create_table(
        "part",
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number."),
        sa.Column(
            "source",
            sa.Text(collation="C"),
            nullable=False,
            comment="made or bought; bought until a definition says otherwise.",
        ),
        sa.Column("tracking", sa.Text(collation="C"), nullable=False, comment="serial, lot or bulk."),
        sa.Column(
            "receipt_required", sa.Boolean(), nullable=False, comment="Whether a scan may not create units of it."
        ),
        sa.Column(
            "defined", sa.Boolean(), nullable=False, comment="False: known only because a bill of materials names it."
        ),
        sa.Column(
            "serials_made",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Numbers its serial pattern used.",
        ),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_part")),
        comment="Part numbers the floor knows, by their own definition or by being named in a bill of materials.",
    )
    op.create_table(
        "product",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number."),
        sa.Column("revision", sa.Text(collation="C"), nullable=False, comment="Revision of the part number."),
        sa.Column("name", sa.Text(), nullable=False, comment="What people call it."),
        sa.Column("family", sa.Text(collation="C"), nullable=False, comment="Product family."),
        sa.Column("source", sa.Text(collation="C"), nullable=False, comment="made or bought."),
        sa.Column("tracking", sa.Text(collation="C"), nullable=False, comment="serial, lot or bulk."),
        sa.Column("document", sa.Text(), nullable=False, comment="The definition as canonical JSON."),
        sa.Column("digest", sa.Text(collation="C"), nullable=False, comment="SHA-256 of the document, hex."),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False, comment="When it was put here."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("part", "revision", name=op.f("uq_product_part_revision")),
        comment="Product definitions: one immutable document per part and revision.",
    )
    op.create_table(
        "run",
        sa.Column(
            "id",
            sa.UUID(as_uuid=False),
            nullable=False,
            comment="Internal id, made at receipt; also the partition key.",
        ),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit."),
        sa.Column("product_id", sa.UUID(as_uuid=False), nullable=True, comment="Definition it was judged by."),
        sa.Column("step", sa.Text(collation="C"), nullable=False, comment="Step, as the station said."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station."),
        sa.Column("run", sa.Text(collation="C"), nullable=True, comment="The station's own name for it."),
        sa.Column(
            "purpose", sa.Text(collation="C"), nullable=False, comment="production, golden, gauge or engineering."
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="Start, as the station said."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False, comment="End, as the station said."),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it arrived here."),
        sa.Column("operator", sa.Integer(), nullable=True, comment="Number of the operator; see operator."),
        sa.Column("fixture", sa.Text(), nullable=True, comment="Fixture used."),
        sa.Column("program", sa.Text(), nullable=True, comment="Test program."),
        sa.Column("program_version", sa.Text(), nullable=True, comment="Its version."),
        sa.Column("claim", sa.Text(collation="C"), nullable=False, comment="Outcome the station claimed."),
        sa.Column("verdict", sa.Text(collation="C"), nullable=False, comment="Our own judgement."),
        sa.Column("reasons", sa.Text(), nullable=False, comment="Why, as JSON: [{code, text, facts}]."),
        sa.Column(
            "layout_id",
            sa.UUID(as_uuid=False),
            nullable=True,
            comment="Names, units and limits of the values; null: none were measured.",
        ),
        sa.Column(
            "numbers",
            postgresql.ARRAY(sa.Double()),
            nullable=True,
            comment="Values that are numbers, in the layout's order; null where not.",
        ),
        sa.Column("others", sa.Text(), nullable=True, comment="JSON {index: value} of values that are not numbers."),
        sa.Column(
            "verdicts",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="pass, fail, error or unset per value; null: each passed.",
        ),
        sa.Column("connections", sa.Text(), nullable=True, comment="Connections with our verdicts as JSON."),
        sa.Column("defects", sa.Text(), nullable=True, comment="Defects as JSON."),
        sa.Column(
            "digest",
            sa.Text(collation="C"),
            nullable=False,
            comment="SHA-256 over what was reported, as bound in the journal.",
        ),
        sa.Column(
            "notes",
            sa.Text(),
            nullable=True,
            comment="What a foreign format says beside values, as JSON: steps, diagnoses, problems …",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        comment="One reported attempt each, immutable: the station's claim and our verdict.",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_run_unit_id", "run", ["unit_id"], unique=False)
    op.create_table(
        "recording",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id; that of its run, too."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station."),
        sa.Column("run", sa.Text(collation="C"), nullable=False, comment="The station's own name for the run."),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit."),
        sa.Column("step", sa.Text(collation="C"), nullable=False, comment="Step, as the station said."),
        sa.Column(
            "purpose", sa.Text(collation="C"), nullable=False, comment="production, golden, gauge or engineering."
        ),
        sa.Column("operator", sa.Integer(), nullable=True, comment="Number of the operator; see operator."),
        sa.Column("fixture", sa.Text(), nullable=True, comment="Fixture used."),
        sa.Column("lines", sa.Integer(), server_default="0", nullable=False, comment="Lines known of it."),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Time of its earliest line, as the program said.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Time of its latest line, as the program said.",
        ),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Effective start; null: its start did not come yet.",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Effective end; null: it goes on, or its end never came.",
        ),
        sa.Column("claim", sa.Text(collation="C"), nullable=True, comment="Outcome its end claims; null: no end yet."),
        sa.Column("verdict", sa.Text(collation="C"), nullable=True, comment="Our own judgement; null: no end yet."),
        sa.Column(
            "interrupted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when its end is not waited for; null: it is, or it came.",
        ),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False, comment="When lines of it last came."),
        sa.Column(
            "broken_off",
            sa.Text(),
            nullable=True,
            comment="How its program ended without the run's end, as the station said.",
        ),
        sa.Column(
            "broken_off_after",
            sa.Integer(),
            nullable=True,
            comment="Number of the last line before that; a later line refutes it.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
        sa.UniqueConstraint(
            "site", "station", "run", "unit_id", "step", name=op.f("uq_recording_site_station_run_unit_id_step")
        ),
        comment="Runs that a program tells of line by line while they go on.",
    )
    op.create_index("ix_recording_unit_id", "recording", ["unit_id"], unique=False)
    op.create_index(
        "ix_recording_open",
        "recording",
        ["heard_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND interrupted_at IS NULL"),
    )
    op.create_table(
        "recording_line",
        sa.Column("recording_id", sa.UUID(as_uuid=False), nullable=False, comment="Recording."),
        sa.Column("number", sa.Integer(), nullable=False, comment="The line's sequence number."),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="First 8 bytes of the SHA-256 of the line."),
        sa.Column(
            "artifact",
            sa.Text(collation="C"),
            nullable=False,
            comment="What the line tells; empty: it breaks the schema.",
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True, comment="The line's time, as the program said."),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it first arrived."),
        sa.Column("line", sa.Text(), nullable=False, comment="The line as JSON."),
        sa.PrimaryKeyConstraint("recording_id", "number", "digest", name=op.f("pk_recording_line")),
        comment="Every distinct line of a recording: append-only, so that no order of arrival matters.",
    )
    op.create_table(
        "inventory",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit that was read."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="Effective time of the reading."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station."),
        sa.Column(
            "run",
            sa.Text(collation="C"),
            nullable=True,
            comment="The station's own name for the attempt that it belongs to.",
        ),
        sa.Column(
            "items",
            sa.Text(),
            nullable=False,
            comment="What was read, as JSON; see mes.domain.inventory.Item.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory")),
        comment="What electronics said is in units. Compared with what was built in at each reading.",
    )
    op.create_index("ix_inventory_unit_id", "inventory", ["unit_id", "at"], unique=False)
    op.create_table(
        "in_hand",
        sa.Column(
            "client_id",
            sa.Text(collation="C"),
            nullable=False,
            comment="Ingest process, by its fixed name at the broker.",
        ),
        sa.Column("messages", sa.Integer(), nullable=False, comment="Redelivered messages it has in hand."),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of the one it has in hand alone; null: several.",
        ),
        sa.Column(
            "deaths",
            sa.Integer(),
            nullable=False,
            comment="How often a process ended with that one alone in hand.",
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_in_hand")),
        comment="What an ingest process that follows a dead one works on: finds the message that ends processes.",
    )
    op.create_table(
        "sample_chunk",
        sa.Column(
            "id",
            sa.UUID(as_uuid=False),
            nullable=False,
            comment="Internal id, made at receipt; also the partition key.",
        ),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit."),
        sa.Column("step", sa.Text(collation="C"), nullable=False, comment="Step in progress."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station."),
        sa.Column("run", sa.Text(collation="C"), nullable=True, comment="The station's own name for the attempt."),
        sa.Column("channel", sa.Text(collation="C"), nullable=False, comment="What was sampled."),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False, comment="Time of the first sample."),
        sa.Column("period_s", sa.Double(), nullable=True, comment="Seconds between samples; null: see offsets_s."),
        sa.Column(
            "offsets_s",
            postgresql.ARRAY(sa.Double()),
            nullable=True,
            comment="Seconds after start of each sample, when not regular.",
        ),
        sa.Column("samples", sa.Integer(), nullable=False, comment="Number of values, gaps included."),
        sa.Column("low", sa.Double(), nullable=True, comment="Smallest value; null: only gaps."),
        sa.Column("high", sa.Double(), nullable=True, comment="Largest value."),
        sa.Column("mean", sa.Double(), nullable=True, comment="Mean of the values."),
        sa.Column("values", postgresql.ARRAY(sa.Double()), nullable=False, comment="The values; null is a gap."),
        sa.Column(
            "merged",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Made of shorter ones when they aged.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample_chunk")),
        comment="Telemetry: a stretch of one channel with its extremes.",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_sample_chunk_unit_id", "sample_chunk", ["unit_id", "channel", "start"], unique=False)
    op.create_index(
        "ix_sample_chunk_young",
        "sample_chunk",
        ["start", "unit_id"],
        unique=False,
        postgresql_where=sa.text("NOT merged"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id; the public half of the token."),
        sa.Column("name", sa.Text(), nullable=False, comment="What or whom it is for."),
        sa.Column(
            "role",
            sa.Text(collation="C"),
            nullable=False,
            comment="viewer, operator, supervisor, quality, erp, auditor, admin, station.",
        ),
        sa.Column(
            "station",
            sa.Text(collation="C"),
            nullable=True,
            comment="For role station: the only station it may speak as.",
        ),
        sa.Column(
            "digest",
            sa.Text(collation="C"),
            nullable=False,
            comment="SHA-256 of the secret half, hex; the secret is never stored.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was made."),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True, comment="Since when it is void."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        comment="Bearer tokens of programs. Their secrets are random 256-bit texts, so a plain hash is enough.",
    )
    op.create_table(
        "station",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("name", sa.Text(collation="C"), nullable=False, comment="Name, as in its topics."),
        sa.Column(
            "kind", sa.Text(collation="C"), nullable=False, comment="Kind of work it does; route steps name kinds."
        ),
        sa.Column("line_id", sa.UUID(as_uuid=False), nullable=True, comment="Line it stands in."),
        sa.Column(
            "state",
            sa.Text(collation="C"),
            server_default="offline",
            nullable=False,
            comment="idle, running, down or offline.",
        ),
        sa.Column(
            "state_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Moment of the newest status that was applied.",
        ),
        sa.Column(
            "state_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when it is in this state, as it said.",
        ),
        sa.Column("state_reason", sa.Text(), nullable=True, comment="Why, as it said."),
        sa.Column(
            "heard_at", sa.DateTime(timezone=True), nullable=True, comment="When anything of it was last settled."
        ),
        sa.Column(
            "clock_skew_s", sa.Double(), nullable=True, comment="Its clock minus ours at its newest message; seconds."
        ),
        sa.Column(
            "calibrated_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when it is calibrated; null: it needs no calibration.",
        ),
        sa.Column("calibration", sa.Text(), nullable=True, comment="Certificate of its calibration."),
        sa.Column(
            "broker_password",
            sa.Text(),
            nullable=True,
            comment="Hash of its secret as brokers keep passwords; null: it has none yet.",
        ),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("fk_station_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station")),
        sa.UniqueConstraint("site", "name", name=op.f("uq_station_site_name")),
        comment="Stations: who may speak, and how they last said they are.",
    )
    op.create_table(
        "station_journal",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Station."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.ForeignKeyConstraint(["id"], ["station.id"], name=op.f("fk_station_journal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_journal")),
        comment="What stations are named by in the journal: apart from `station`, which every sign of life writes.",
    )
    op.create_table(
        "work_order",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("number", sa.Text(collation="C"), nullable=False, comment="The ERP's number."),
        sa.Column("product_id", sa.UUID(as_uuid=False), nullable=False, comment="Definition its units are built to."),
        sa.Column("quantity", sa.Integer(), nullable=False, comment="Units ordered."),
        sa.Column(
            "units_made", sa.Integer(), server_default="0", nullable=False, comment="Units created for it so far."
        ),
        sa.Column("due", sa.Date(), nullable=True, comment="Day it is due."),
        sa.Column("priority", sa.Integer(), nullable=False, comment="Higher goes first."),
        sa.Column("customer_order", sa.Text(), nullable=True, comment="The customer's order, as the ERP names it."),
        sa.Column(
            "serials",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="Serials the ERP gave; null: the product's pattern makes them.",
        ),
        sa.Column(
            "digest",
            sa.Text(collation="C"),
            nullable=False,
            comment="SHA-256 of the order as put, to tell a repeat from a conflict.",
        ),
        sa.Column(
            "state", sa.Text(collation="C"), nullable=False, comment="See the table of moves in mes.domain.work_order."
        ),
        sa.Column(
            "version", sa.Integer(), server_default="1", nullable=False, comment="Rises with each change; the ETag."
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was put."),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True, comment="When its units were created."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it was closed or cancelled."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_work_order_quantity_positive")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_work_order_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order")),
        sa.UniqueConstraint("site", "number", name=op.f("uq_work_order_site_number")),
        comment="Work orders.",
    )
    op.create_index("ix_work_order_state", "work_order", ["state", "id"], unique=False)
    op.create_table(
        "unit",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id; also its trace id."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number."),
        sa.Column(
            "maker",
            sa.Text(collation="C"),
            server_default="",
            nullable=False,
            comment="Maker; empty for our own or unknown.",
        ),
        sa.Column(
            "serial",
            sa.Text(collation="C"),
            nullable=False,
            comment="The serial it carries now; history is in identifier.",
        ),
        sa.Column(
            "product_id",
            sa.UUID(as_uuid=False),
            nullable=True,
            comment="Definition it is judged by; null: bought, undefined.",
        ),
        sa.Column(
            "work_order_id", sa.UUID(as_uuid=False), nullable=True, comment="Order it was made for; null: bought."
        ),
        sa.Column(
            "state", sa.Text(collation="C"), nullable=False, comment="See the table of moves in mes.domain.unit."
        ),
        sa.Column(
            "progress", sa.Text(), nullable=False, comment="The folded state as JSON; see mes.domain.unit.Progress."
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was made."),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was received; null: made here, or only ever scanned.",
        ),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_unit_product_id")),
        sa.ForeignKeyConstraint(["work_order_id"], ["work_order.id"], name=op.f("fk_unit_work_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        comment="Serialized units, made and bought.",
    )
    op.create_index("ix_unit_part", "unit", ["part", "id"], unique=False)
    op.create_index("ix_unit_state", "unit", ["state", "id"], unique=False)
    op.create_index("ix_unit_work_order_id", "unit", ["work_order_id", "state"], unique=False)
    op.create_table(
        "identifier",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit that carries it."),
        sa.Column("kind", sa.Text(collation="C"), nullable=False, comment="serial, maker_serial, mac, uuid, …"),
        sa.Column("part", sa.Text(collation="C"), nullable=False, comment="Part number of the unit."),
        sa.Column(
            "maker",
            sa.Text(collation="C"),
            server_default="",
            nullable=False,
            comment="Maker of the unit; empty for our own or unknown.",
        ),
        sa.Column("value", sa.Text(collation="C"), nullable=False, comment="The text printed or read."),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False, comment="When the unit carried it."),
        sa.CheckConstraint("NOT isempty(during)", name=op.f("ck_identifier_during_not_empty")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_identifier_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identifier")),
        comment="What is printed on units. Relabelling closes a row and opens another.",
    )
    op.create_index("ix_identifier_unit_id", "identifier", ["unit_id"], unique=False)
    op.create_index("ix_identifier_value", "identifier", ["value"], unique=False)
    op.create_index(
        "uq_identifier_open",
        "identifier",
        ["kind", "part", "maker", "value"],
        unique=True,
        postgresql_where=sa.text("upper_inf(during)"),
    )
    op.create_table(
        "nonconformance",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Derived from the fact that opened it."),
        sa.Column(
            "site",
            sa.Text(collation="C"),
            server_default=sa.text("coalesce(nullif(current_setting('mes.site', true), ''), 'main')"),
            nullable=False,
            comment="Site that this row belongs to.",
        ),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit that does not conform."),
        sa.Column(
            "step",
            sa.Text(collation="C"),
            nullable=True,
            comment="Step that failed; null: a contradiction between a decision and a late fact.",
        ),
        sa.Column(
            "state",
            sa.Text(collation="C"),
            nullable=False,
            comment="See the table of moves in mes.domain.nonconformance.",
        ),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=True, comment="Run that failed."),
        sa.Column("reasons", sa.Text(), nullable=False, comment="Why, as JSON."),
        sa.Column("opened_key", sa.Text(collation="C"), nullable=False, comment="Key of the entry that opened it."),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False, comment="Effective time of that entry."),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True, comment="Effective time of what closed it."),
        sa.Column("diagnosis", sa.Text(), nullable=True, comment="What was found."),
        sa.Column("repair", sa.Text(), nullable=True, comment="What was done."),
        sa.Column("ruling", sa.Text(collation="C"), nullable=True, comment="rework, scrap or use_as_is."),
        sa.Column(
            "journal_number",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Journal entries naming it so far.",
        ),
        sa.Column(
            "journal_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of its newest journal entry; null before the first.",
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_nonconformance_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nonconformance")),
        comment="Nonconformances: one per failed attempt, until a retest passes or a disposition rules.",
    )
    op.create_index("ix_nonconformance_state", "nonconformance", ["state", "id"], unique=False)
    op.create_index("ix_nonconformance_unit_id", "nonconformance", ["unit_id"], unique=False)

    for table in ("run", "sample_chunk"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(MEASUREMENT_VIEW)
    op.execute(APPEND_ONLY)
    for table in ("journal", "journal_position", "journal_subject"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION mes_append_only()"
        )
    op.execute(
        "INSERT INTO ledger_head (next_position, era, xid, system_identifier) "
        "SELECT 0, 1, '0', system_identifier::text FROM pg_control_system()"
    )


def downgrade() -> None:
    op.execute("DROP VIEW measurement")

    op.drop_index("ix_nonconformance_unit_id", table_name="nonconformance")
    op.drop_index("ix_nonconformance_state", table_name="nonconformance")
    op.drop_table("nonconformance")
    op.drop_index("uq_identifier_open", table_name="identifier", postgresql_where=sa.text("upper_inf(during)"))
    op.drop_index("ix_identifier_value", table_name="identifier")
    op.drop_index("ix_identifier_unit_id", table_name="identifier")
    op.drop_table("identifier")
    op.drop_index("ix_unit_work_order_id", table_name="unit")
    op.drop_index("ix_unit_state", table_name="unit")
    op.drop_index("ix_unit_part", table_name="unit")
    op.drop_table("unit")
    op.drop_index("ix_work_order_state", table_name="work_order")
    op.drop_table("work_order")
    op.drop_table("station_journal")
    op.drop_table("station")
    op.drop_table("token")
    op.drop_table("in_hand")
    op.drop_index("ix_inventory_unit_id", table_name="inventory")
    op.drop_table("inventory")
    op.drop_table("recording_line")
    op.drop_index(
        "ix_recording_open",
        table_name="recording",
        postgresql_where=sa.text("ended_at IS NULL AND interrupted_at IS NULL"),
    )
    op.drop_index("ix_recording_unit_id", table_name="recording")
    op.drop_table("recording")
    op.drop_index("ix_sample_chunk_young", table_name="sample_chunk", postgresql_where=sa.text("NOT merged"))
    op.drop_index("ix_sample_chunk_unit_id", table_name="sample_chunk")
    op.drop_table("sample_chunk")
    op.drop_index("ix_run_unit_id", table_name="run")
    op.drop_table("run")
    op.drop_table("product")
    op.drop_table("part")
    op.drop_table("operator")
    op.drop_index("uq_message_sha256", table_name="message")
    op.drop_index("ix_message_source_id", table_name="message")
    op.drop_index("ix_message_fate", table_name="message")
    op.drop_table("message")
    op.drop_index("ix_lot_lot", table_name="lot")
    op.drop_table("lot")
    op.drop_table("line")
    op.drop_table("ledger_head")
    op.drop_table("feed")
    op.drop_table("layout")
    op.drop_table("journal_subject")
    op.drop_table("journal_position")
    op.drop_index("ix_journal_xid", table_name="journal")
    op.drop_table("journal")
    op.drop_index("ix_loading_station", table_name="loading", postgresql_where=sa.text("superseded_at IS NULL"))
    op.drop_index("ix_loading_lot_id", table_name="loading")
    op.drop_table("loading")
    op.drop_index("ix_installation_parent_id", table_name="installation")
    op.drop_index(
        "ix_installation_part",
        table_name="installation",
        postgresql_where=sa.text("child_id IS NULL AND lot_id IS NULL"),
    )
    op.drop_index(
        "ix_installation_loaded",
        table_name="installation",
        postgresql_using="gin",
        postgresql_where=sa.text("lot_id IS NULL AND loaded <> '{}'"),
    )
    op.drop_index("ix_installation_lot_id", table_name="installation", postgresql_where=sa.text("lot_id IS NOT NULL"))
    op.drop_index(
        "ix_installation_child_id", table_name="installation", postgresql_where=sa.text("child_id IS NOT NULL")
    )
    op.drop_table("installation")
    op.drop_index("uq_inbox_natural_key", table_name="inbox", postgresql_where=sa.text("natural_key IS NOT NULL"))
    op.drop_table("inbox")
    op.drop_index("ix_hold_key", table_name="hold")
    op.drop_table("hold")
    op.drop_index("ix_attempt_station", table_name="attempt", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_table("attempt")
    op.drop_index("ix_login_account", table_name="login")
    op.drop_table("login")
    op.drop_table("account")

    op.execute("DROP FUNCTION mes_append_only")
