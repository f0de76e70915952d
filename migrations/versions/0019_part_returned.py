"""Payments: what a provider gives back in part by itself is booked, and counted on the payment.

Revision: 0019, after 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ROLE = "rasid_app"
EVENTS = "'settled', 'set_aside', 'reversed', 'charged_back', 'restored', 'returned'"


def upgrade() -> None:
    """Apply."""
    op.add_column("payment", sa.Column("returned", sa.BigInteger, nullable=False, server_default="0"))
    op.create_check_constraint(op.f("ck_payment_returned"), "payment", "returned >= 0 AND returned < amount")
    op.execute(f"GRANT UPDATE (returned) ON payment TO {ROLE}")
    _history(f"{EVENTS}, 'part_returned'")


def downgrade() -> None:
    """Take back. Parts that are booked cannot be: the constraint says so."""
    _history(EVENTS)
    op.drop_column("payment", "returned")


def _history(events: str) -> None:
    """What may have happened to a payment's money."""
    name = op.f("ck_payment_history_event")
    op.drop_constraint(name, "payment_history", type_="check")
    op.create_check_constraint(name, "payment_history", f"event IN ({events})")
