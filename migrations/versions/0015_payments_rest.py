"""Payments: rights no wider than what changes, who was asked for how much, and what is forgotten in time.

Revision: 0015, after 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()

#: The columns that the application may change: what a payment is, who pays it, and what a provider said stay.
CHANGING = {
    "payment": "state, reason, next_check_at, gateway_ref, asked_ref, captured, captured_currency, gateway, "
    "requested_at, attempts, changed_at",
    "gateway_event": "sealed, done_at, refused, next_check_at",
    "event": "fanned_at",
    "bill": "open_amount, changed_at",
    "event_delivery": "state, attempts, due_at, made_at, done_at, error",
}

# Runs with its owner's rights: the application may forget what has had its time, and delete nothing else. What is not
# done is kept, whatever its age. A payment may be held back for 30 days before its payer is asked; who was asked is
# known for a day more.
FORGET = """
CREATE FUNCTION forget_payment_traces(before timestamptz, most integer) RETURNS integer
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
    total := total + gone;
    DELETE FROM settlement_row WHERE (gateway, gateway_ref, state, at, nth) IN (
        SELECT gateway, gateway_ref, state, at, nth FROM settlement_row WHERE day < before::date LIMIT most
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN total + gone;
END $$
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "payment_asked",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("payment_id", UUID, primary_key=True),
        sa.Column("owner_shard", sa.SmallInteger, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "digest", "payment_id", name=op.f("pk_payment_asked")),
    )
    op.create_index("ix_payment_asked_at", "payment_asked", ["asked_at"], postgresql_using="brin")
    op.add_column("payment_locator", sa.Column("until", TIME))
    op.create_index("ix_payment_locator_until", "payment_locator", ["until"], postgresql_using="brin")
    op.add_column("gateway_event", sa.Column("sealed", sa.Text))
    op.execute("UPDATE gateway_event SET sealed = body->>'sealed', body = body - 'sealed' WHERE body ? 'sealed'")
    # What is held back ends by itself from now on.
    op.execute(
        "UPDATE payment SET next_check_at = now() + interval '1 day' WHERE state = 'review' AND next_check_at IS NULL"
    )
    op.create_index("ix_gateway_event_received_at", "gateway_event", ["received_at"], postgresql_using="brin")
    _history("'settled', 'set_aside', 'reversed', 'charged_back', 'restored', 'returned'")
    op.execute(f"GRANT SELECT, INSERT ON payment_asked TO {ROLE}")
    for table, columns in CHANGING.items():
        op.execute(f"REVOKE UPDATE ON {table} FROM {ROLE}")
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO {ROLE}")
    op.execute(FORGET)
    op.execute("REVOKE ALL ON FUNCTION forget_payment_traces(timestamptz, integer) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION forget_payment_traces(timestamptz, integer) TO {ROLE}")


def downgrade() -> None:
    """Take back."""
    _history("'settled', 'set_aside', 'reversed', 'charged_back', 'returned'")
    op.execute("DROP FUNCTION forget_payment_traces(timestamptz, integer)")
    for table in CHANGING:
        op.execute(f"GRANT UPDATE ON {table} TO {ROLE}")
    op.drop_index("ix_gateway_event_received_at", table_name="gateway_event")
    # The bodies hold what was personal again, as long as it is kept.
    op.execute("UPDATE gateway_event SET body = body || jsonb_build_object('sealed', sealed) WHERE sealed IS NOT NULL")
    op.drop_column("gateway_event", "sealed")
    op.drop_index("ix_payment_locator_until", table_name="payment_locator")
    op.drop_column("payment_locator", "until")
    op.drop_table("payment_asked")


def _history(events: str) -> None:
    """What may have happened to a payment's money."""
    name = op.f("ck_payment_history_event")
    op.drop_constraint(name, "payment_history", type_="check")
    op.create_check_constraint(name, "payment_history", f"event IN ({events})")
