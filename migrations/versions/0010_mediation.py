"""Mediation: usage records, the files they came in, lines that were set aside, what collection points differ in.

Revision: 0010, after 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: What the application may do beside reading. Records are history: written once.
RIGHTS = {
    "usage_record": "INSERT",
    "usage_file": "INSERT, UPDATE",
    "usage_batch": "INSERT, UPDATE",
    "usage_set_aside": "INSERT, UPDATE, DELETE",
    "usage_difference": "INSERT, UPDATE, DELETE",
}
UNITS = "('money', 'octets', 'seconds', 'messages')"
REASONS = "('malformed', 'unknown_line', 'unknown_rating_group', 'future', 'too_late', 'conflict', 'overlap')"


def upgrade() -> None:
    """Apply."""
    _records()
    _files()
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    for table in reversed(RIGHTS):
        op.drop_table(table)


def _of_a_session() -> list[sa.Column[object]]:
    return [
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", UUID, primary_key=True),
        sa.Column("session_key", UUID, primary_key=True),
        sa.Column("rating_group", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, primary_key=True),
    ]


def _records() -> None:
    op.create_table(
        "usage_record",
        *_of_a_session(),
        sa.Column("started_at", TIME, primary_key=True),
        sa.Column("ended_at", TIME, nullable=False),
        sa.Column("line_id", UUID, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("uplink", sa.BigInteger, nullable=False),
        sa.Column("downlink", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("due", sa.Boolean, nullable=False),
        sa.Column("batch_id", UUID, nullable=False),
        sa.CheckConstraint(f"unit IN {UNITS}", name=op.f("ck_usage_record_unit")),
        sa.CheckConstraint("amount >= 0 AND uplink >= 0 AND downlink >= 0", name=op.f("ck_usage_record_amounts")),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_usage_record_times")),
        sa.PrimaryKeyConstraint(
            "shard", "account_id", "session_key", "rating_group", "source", "started_at", name=op.f("pk_usage_record")
        ),
    )
    op.create_index("ix_usage_record_batch_id", "usage_record", ["batch_id"], postgresql_using="brin")
    op.create_table(
        "usage_difference",
        *_of_a_session(),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("stated", sa.BigInteger, nullable=False),
        sa.Column("charged", sa.BigInteger, nullable=False),
        sa.Column("found_at", TIME, nullable=False),
        sa.CheckConstraint(f"unit IN {UNITS}", name=op.f("ck_usage_difference_unit")),
        sa.PrimaryKeyConstraint(
            "shard", "account_id", "session_key", "rating_group", "source", name=op.f("pk_usage_difference")
        ),
    )
    op.create_index("ix_usage_difference_found_at", "usage_difference", ["found_at"])


def _files() -> None:
    op.create_table(
        "usage_file",
        sa.Column("file_id", UUID, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("interface", sa.Text, nullable=False),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("set_aside", sa.BigInteger, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_usage_file")),
        sa.UniqueConstraint("digest", name=op.f("uq_usage_file_digest")),
    )
    op.create_index("ix_usage_file_started_at", "usage_file", ["started_at"])
    op.create_table(
        "usage_batch",
        sa.Column("batch_id", UUID, primary_key=True),
        sa.Column("file_id", UUID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("staged_at", TIME, nullable=False),
        sa.CheckConstraint("state IN ('staging', 'charging', 'done')", name=op.f("ck_usage_batch_state")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_usage_batch")),
    )
    op.create_index("ix_usage_batch_open", "usage_batch", ["file_id"], postgresql_where=sa.text("state <> 'done'"))
    op.create_table(
        "usage_set_aside",
        sa.Column("file_id", UUID, primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.CheckConstraint(f"reason IN {REASONS}", name=op.f("ck_usage_set_aside_reason")),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_usage_set_aside")),
    )
