"""Sessions and reservations, meters and caps, advances, renewals; consent to out-of-bundle use; roll-over.

Revision: 0006, after 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
TIME = postgresql.TIMESTAMP(timezone=True)
UUID = postgresql.UUID()
UNITS = "unit IN ('money', 'octets', 'seconds', 'messages')"

#: What the application may do beside reading. Ended sessions are forgotten after a while; their bookings stay.
RIGHTS = {
    "session": "INSERT, UPDATE, DELETE",
    "reservation": "INSERT, UPDATE, DELETE",
    "meter": "INSERT, UPDATE",
    "advance": "INSERT, UPDATE",
    "renewal": "INSERT, UPDATE",
}


def upgrade() -> None:
    """Apply."""
    op.add_column("line", sa.Column("out_of_bundle", sa.Boolean))
    op.add_column("bucket", sa.Column("rolled_from", UUID))
    _sessions()
    _meters()
    _agreements()
    # Written again and again while they live.
    for table in ("reservation", "meter"):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 60)")
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def downgrade() -> None:
    """Take back. What sessions hold must be let go first."""
    for table in reversed(RIGHTS):
        op.drop_table(table)
    op.drop_column("bucket", "rolled_from")
    op.drop_column("line", "out_of_bundle")


def _owner(*columns: sa.Column[object]) -> list[sa.Column[object]]:
    return [
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", UUID, primary_key=True),
        *columns,
    ]


def _sessions() -> None:
    op.create_table(
        "session",
        *_owner(sa.Column("session_id", UUID, primary_key=True), sa.Column("line_id", UUID)),
        sa.Column("interface", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("notify", sa.Text, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
    )
    op.create_index("ix_session_session_id", "session", ["session_id"])
    op.create_index(
        "ix_session_node", "session", ["interface", "node"], postgresql_where="closed_at IS NULL AND node <> ''"
    )
    op.create_index("ix_session_closed", "session", ["closed_at"], postgresql_where="closed_at IS NOT NULL")
    op.create_table(
        "reservation",
        *_owner(
            sa.Column("session_id", UUID, primary_key=True),
            sa.Column("rating_group", sa.Integer, primary_key=True, autoincrement=False),
        ),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("legs", postgresql.JSONB, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("overrun", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("tariff", sa.Text),
        sa.Column("priced", sa.BigInteger, nullable=False),
        sa.Column("paid", sa.BigInteger, nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.Column("reported_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.CheckConstraint(UNITS, name=op.f("ck_reservation_unit")),
        sa.CheckConstraint("state IN ('open', 'used', 'released', 'expired')", name=op.f("ck_reservation_state")),
        sa.CheckConstraint("granted >= 0 AND used >= 0 AND overrun >= 0", name=op.f("ck_reservation_amounts")),
        sa.CheckConstraint("state = 'open' OR legs = '[]'", name=op.f("ck_reservation_legs")),
    )
    op.create_index("ix_reservation_open", "reservation", ["expires_at"], postgresql_where="state = 'open'")


def _meters() -> None:
    op.create_table(
        "meter",
        *_owner(sa.Column("line_id", UUID, primary_key=True), sa.Column("unit", sa.Text, primary_key=True)),
        sa.Column("day_from", TIME, nullable=False),
        sa.Column("today", sa.BigInteger, nullable=False),
        sa.Column("day_cap", sa.BigInteger),
        sa.Column("month_from", TIME, nullable=False),
        sa.Column("this_month", sa.BigInteger, nullable=False),
        sa.Column("month_cap", sa.BigInteger),
        sa.Column("usual", sa.BigInteger),
        sa.CheckConstraint(UNITS, name=op.f("ck_meter_unit")),
    )


def _agreements() -> None:
    op.create_table(
        "advance",
        *_owner(sa.Column("key", UUID, primary_key=True), sa.Column("line_id", UUID, nullable=False)),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("open_amount", sa.BigInteger, nullable=False),
        sa.Column("open_fee", sa.BigInteger, nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.CheckConstraint("open_amount BETWEEN 0 AND amount", name=op.f("ck_advance_open_amount")),
        sa.CheckConstraint("open_fee BETWEEN 0 AND fee", name=op.f("ck_advance_open_fee")),
    )
    op.create_index(
        "ix_advance_open", "advance", ["shard", "account_id"], postgresql_where="open_amount + open_fee > 0"
    )
    op.create_table(
        "renewal",
        *_owner(sa.Column("line_id", UUID, primary_key=True), sa.Column("product", sa.Text, primary_key=True)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cycle", TIME, nullable=False),
        sa.Column("attempt", sa.SmallInteger, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("noticed", TIME),
        sa.CheckConstraint("state IN ('active', 'given_up', 'stopped')", name=op.f("ck_renewal_state")),
    )
    op.create_index("ix_renewal_due", "renewal", ["next_at"], postgresql_where="state = 'active'")
