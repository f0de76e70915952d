"""Events: 5G's sessions are told of changes by the worker that tells all others; its own queue of before is ended.

Nobody takes from that queue any more: left open, it would grow with every change.

Revision: 0020, after 0019
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

QUEUE = "internal:nchf-reauthorization"


def upgrade() -> None:
    """Apply. What waited was worth telling for minutes only."""
    op.execute(f"""
        UPDATE event_delivery d SET state = 'dropped', done_at = now() FROM subscription s
        WHERE s.callback = '{QUEUE}' AND d.subscription_id = s.subscription_id AND d.state = 'due'""")
    op.execute(f"UPDATE subscription SET ended_at = now() WHERE callback = '{QUEUE}' AND ended_at IS NULL")


def downgrade() -> None:
    """Take back: the worker of before finds its queue again."""
    op.execute(f"UPDATE subscription SET ended_at = NULL WHERE callback = '{QUEUE}'")
