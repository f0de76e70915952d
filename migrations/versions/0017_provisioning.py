"""Provisioning: one row for each line with all that it may be served, as the line was told.

Revision: 0017, after 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: in the order in which a line is told
COUNTERS = "ARRAY['voice', 'messages', 'data', 'speed', 'line']"
UNTIL = """to_char(valid_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
ONE_ROW_FOR_EACH_LINE = f"""
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT shard, account_id, line_id,
       array_agg(concat_ws(' ', counter, status, {UNTIL}) ORDER BY array_position({COUNTERS}, counter)) AS rules,
       (array_agg(key ORDER BY changed_at DESC))[1] AS key, max(changed_at) AS changed_at
FROM provisioning_rule GROUP BY shard, account_id, line_id
"""
ONE_ROW_FOR_EACH_COUNTER = """
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT shard, account_id, line_id, split_part(rule, ' ', 1) AS counter, split_part(rule, ' ', 2) AS status,
       nullif(split_part(rule, ' ', 3), '')::timestamptz AS valid_until, key, changed_at
FROM provisioning_rule, unnest(rules) AS rule
"""


def upgrade() -> None:
    """Apply."""
    # A colon begins a parameter, unless it is escaped.
    op.execute(ONE_ROW_FOR_EACH_LINE.replace("HH24:MI:SS", r"HH24\:MI\:SS"))
    op.execute("DELETE FROM provisioning_rule")
    op.drop_constraint("pk_provisioning_rule", "provisioning_rule")
    for column in ("counter", "status", "valid_until"):
        op.drop_column("provisioning_rule", column)
    op.add_column("provisioning_rule", sa.Column("rules", postgresql.ARRAY(sa.Text), nullable=False))
    op.create_primary_key("pk_provisioning_rule", "provisioning_rule", ["shard", "account_id", "line_id"])
    _take_back("shard, account_id, line_id, rules, key, changed_at")


def downgrade() -> None:
    """Take back."""
    op.execute(ONE_ROW_FOR_EACH_COUNTER)
    op.execute("DELETE FROM provisioning_rule")
    op.drop_constraint("pk_provisioning_rule", "provisioning_rule")
    op.drop_column("provisioning_rule", "rules")
    for column in ("counter", "status"):
        op.add_column("provisioning_rule", sa.Column(column, sa.Text, nullable=False))
    op.add_column("provisioning_rule", sa.Column("valid_until", postgresql.TIMESTAMP(timezone=True)))
    op.create_primary_key("pk_provisioning_rule", "provisioning_rule", ["shard", "account_id", "line_id", "counter"])
    _take_back("shard, account_id, line_id, counter, status, valid_until, key, changed_at")


def _take_back(columns: str) -> None:
    op.execute(f"INSERT INTO provisioning_rule ({columns}) SELECT {columns} FROM told")
