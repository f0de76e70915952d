"""Usage: records by month, rating groups of 32 bits without a sign, how often a bucket was rolled over.

Revision: 0016, after 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()
UNITS = "('money', 'octets', 'seconds', 'messages')"
KEY = ("shard", "account_id", "session_key", "rating_group", "source", "started_at")
COLUMNS = f"{', '.join(KEY)}, ended_at, line_id, unit, uplink, downlink, amount, due, batch_id"

# As in 0002, with the tables given. Runs with its owner's rights, so that the application's schedule can make next
# month's partitions without owning anything.
ENSURE_PARTITIONS = """
CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamp;
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(724354);
    FOREACH parent IN ARRAY ARRAY[{parents}] LOOP
        FOR month IN SELECT generate_series(this_month, this_month + make_interval(months => months_ahead),
                                            interval '1 month') LOOP
            IF to_regclass(parent || to_char(month, '"_p"YYYYMM')) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                                   parent || to_char(month, '"_p"YYYYMM'), parent,
                                   month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                    made := made + 1;
                EXCEPTION WHEN check_violation THEN
                    -- Rows came before their partition and lie in the default one. That month stays there.
                    RAISE WARNING 'rows of % in %_rest: no partition made', to_char(month, 'YYYY-MM'), parent;
                END;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$
"""
BOOKS = ("operation", "transfer", "batch_total")


def upgrade() -> None:
    """Apply."""
    op.add_column("bucket", sa.Column("rolled", sa.SmallInteger, nullable=False, server_default="0"))
    op.execute("UPDATE bucket SET rolled = 1 WHERE rolled_from IS NOT NULL")
    for table in ("reservation", "usage_difference"):
        op.alter_column(table, "rating_group", type_=sa.BigInteger)
    _set_records_aside()
    _records(sa.BigInteger, partitioned=True)
    op.execute("CREATE TABLE usage_record_rest PARTITION OF usage_record DEFAULT")
    op.execute(ENSURE_PARTITIONS.format(parents=", ".join(f"'{one}'" for one in (*BOOKS, "usage_record"))))
    op.execute("SELECT ensure_partitions(3)")
    _take_records_back()


def downgrade() -> None:
    """Take back. Rating groups above 31 bits must be gone first."""
    op.execute(ENSURE_PARTITIONS.format(parents=", ".join(f"'{one}'" for one in BOOKS)))
    _set_records_aside()
    _records(sa.Integer, partitioned=False)
    _take_records_back()
    for table in ("usage_difference", "reservation"):
        op.alter_column(table, "rating_group", type_=sa.Integer)
    op.drop_column("bucket", "rolled")


def _set_records_aside() -> None:
    op.execute("ALTER TABLE usage_record RENAME TO usage_record_before")
    op.execute("DROP INDEX ix_usage_record_batch_id")
    op.execute("ALTER TABLE usage_record_before RENAME CONSTRAINT pk_usage_record TO pk_usage_record_before")


def _take_records_back() -> None:
    op.execute(f"INSERT INTO usage_record ({COLUMNS}) SELECT {COLUMNS} FROM usage_record_before")
    op.execute("DROP TABLE usage_record_before")
    op.execute(f"GRANT SELECT, INSERT ON usage_record TO {ROLE}")


def _records(rating_group: type[sa.Integer], *, partitioned: bool) -> None:
    op.create_table(
        "usage_record",
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("session_key", UUID, nullable=False),
        sa.Column("rating_group", rating_group, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
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
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_usage_record")),
        postgresql_partition_by="RANGE (started_at)" if partitioned else None,
    )
    op.create_index("ix_usage_record_batch_id", "usage_record", ["batch_id"], postgresql_using="brin")
