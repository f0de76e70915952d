"""What a line did before, to be offered first: an index over what people choose, and whom they recharged by paying.

Revision: 0018, after 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: As in 0015, with what is more to be forgotten. Runs with its owner's rights: the application may forget what has had
#: its time, and delete nothing else.
FORGET = """
CREATE OR REPLACE FUNCTION forget_payment_traces(before timestamptz, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
    total integer := 0;
BEGIN
    IF before IS NULL OR before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'before: what providers said is kept for 30 days at least';
    END IF;
    DELETE FROM gateway_event WHERE (shard, digest) IN (
        SELECT shard, digest FROM gateway_event WHERE received_at < before AND done_at IS NOT NULL LIMIT most
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;
    DELETE FROM payment_locator WHERE (shard, digest) IN (
        SELECT shard, digest FROM payment_locator WHERE until < now() LIMIT most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;
    DELETE FROM payment_asked WHERE (shard, digest, payment_id) IN (
        SELECT shard, digest, payment_id FROM payment_asked WHERE asked_at < now() - interval '31 days' LIMIT most
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;{more}
    DELETE FROM settlement_row WHERE (gateway, gateway_ref, state, at, nth) IN (
        SELECT gateway, gateway_ref, state, at, nth FROM settlement_row WHERE day < before::date LIMIT most
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN total + gone;
END $$
"""
FORGET_RECHARGED = """
    DELETE FROM recharged_other WHERE (shard, account_id, key) IN (
        SELECT shard, account_id, key FROM recharged_other WHERE asked_at < before LIMIT most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;"""


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_operation_chosen",
        "operation",
        ["shard", "account_id", "line_id", "booked_at"],
        postgresql_where=sa.text("kind IN ('purchase', 'transfer') AND code = 'ok'"),
    )
    op.create_table(
        "recharged_other",
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("key", UUID, nullable=False),
        sa.Column("line_id", UUID, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("other_shard", sa.SmallInteger, nullable=False),
        sa.Column("other_account_id", UUID, nullable=False),
        sa.Column("other_line_id", UUID, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "key", name=op.f("pk_recharged_other")),
    )
    op.create_index("ix_recharged_other_line", "recharged_other", ["shard", "account_id", "line_id", "asked_at"])
    op.create_index("ix_recharged_other_asked_at", "recharged_other", ["asked_at"], postgresql_using="brin")
    op.execute(f"GRANT SELECT, INSERT ON recharged_other TO {ROLE}")
    op.execute(FORGET.format(more=FORGET_RECHARGED))


def downgrade() -> None:
    """Take back."""
    op.execute(FORGET.format(more=""))
    op.drop_table("recharged_other")
    op.drop_index("ix_operation_chosen", table_name="operation")
