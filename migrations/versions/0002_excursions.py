"""Excursions of telemetry beyond watched limits; the ends of recorded runs are found by an index

Revision: 0002, after 0001. It keeps lines of recorded runs from being stored while the index on them is made: some
seconds for ten million. Runs that are on while it is migrated are watched from their next message on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "excursion",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False, comment="Internal id."),
        sa.Column("unit_id", sa.UUID(as_uuid=False), nullable=False, comment="Unit."),
        sa.Column("station", sa.Text(collation="C"), nullable=False, comment="Station."),
        sa.Column("step", sa.Text(collation="C"), nullable=False, comment="Step in progress."),
        sa.Column(
            "run",
            sa.Text(collation="C"),
            nullable=False,
            comment="The station's own name for the attempt; empty: it gave none.",
        ),
        sa.Column("channel", sa.Text(collation="C"), nullable=False, comment="What was sampled."),
        sa.Column(
            "first",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First sample beyond the limits; null: only gaps.",
        ),
        sa.Column("last", sa.DateTime(timezone=True), nullable=True, comment="Last sample beyond the limits."),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False, comment="Where it begins, gaps included."),
        sa.Column("stop", sa.DateTime(timezone=True), nullable=False, comment="Where it ends, gaps included."),
        sa.Column(
            "reach_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="From where on another may be one with it.",
        ),
        sa.Column(
            "reach_to", sa.DateTime(timezone=True), nullable=False, comment="Up to where another may be one with it."
        ),
        sa.Column(
            "cooled_before",
            sa.Boolean(),
            nullable=False,
            comment="A sample within the limits is known to be before it.",
        ),
        sa.Column(
            "cooled_after", sa.Boolean(), nullable=False, comment="A sample within the limits is known to be after it."
        ),
        sa.Column("allowed_s", sa.Double(), nullable=False, comment="How long it may last; seconds."),
        sa.Column("value", sa.Double(), nullable=True, comment="The value that was furthest out."),
        sa.Column("low", sa.Double(), nullable=True, comment="Lower limit, inclusive; null: none."),
        sa.Column("high", sa.Double(), nullable=True, comment="Upper limit, inclusive; null: none."),
        sa.Column(
            "source", sa.Text(collation="C"), nullable=False, comment="Source of the message in which it begins."
        ),
        sa.Column("message_id", sa.Text(), nullable=False, comment="Id of that message."),
        sa.Column("is_broken", sa.Boolean(), nullable=False, comment="It lasted too long."),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False, comment="When it became what it is."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_excursion")),
        comment="How long channels of runs were beyond watched limits: made of the journal, to join what comes next.",
    )
    op.create_index(
        "ix_excursion_broken", "excursion", ["unit_id"], unique=False, postgresql_where=sa.text("is_broken")
    )
    op.create_index(
        "ix_excursion_series", "excursion", ["unit_id", "channel", "station", "step", "run", "reach_to"], unique=False
    )
    op.create_index(
        "ix_excursion_told_at", "excursion", ["told_at"], unique=False, postgresql_where=sa.text("NOT is_broken")
    )
    op.execute("SET LOCAL lock_timeout = '5s'")  # to give up is better than to have the floor wait behind us
    op.create_index(
        "ix_recording_line_ends",
        "recording_line",
        ["recording_id", "number"],
        unique=False,
        postgresql_where=sa.text("artifact IN ('testRunStart', 'testRunEnd')"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_recording_line_ends",
        table_name="recording_line",
        postgresql_where=sa.text("artifact IN ('testRunStart', 'testRunEnd')"),
    )
    op.drop_index("ix_excursion_told_at", table_name="excursion", postgresql_where=sa.text("NOT is_broken"))
    op.drop_index("ix_excursion_series", table_name="excursion")
    op.drop_index("ix_excursion_broken", table_name="excursion", postgresql_where=sa.text("is_broken"))
    op.drop_table("excursion")
