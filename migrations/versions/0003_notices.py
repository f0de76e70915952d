"""Notices: wishes, linked chats, delivery history, campaigns; the outbox learns priorities and delivery states.

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROLE = "rasid_app"

#: What the application may do beside reading. ``delivery`` is history; what is only remembered for a while may go.
RIGHTS = {
    "preference": "INSERT, UPDATE",
    "chat": "INSERT, UPDATE, DELETE",
    "link_code": "INSERT, UPDATE",
    "seen_update": "INSERT, DELETE",
    "delivery": "INSERT",
    "carrier_message": "INSERT, UPDATE, DELETE",
    "notice_count": "INSERT, UPDATE, DELETE",
    "watermark": "INSERT, UPDATE",
    "campaign": "INSERT",
    "campaign_recipient": "INSERT",
}

STATES = "IN ('queued', 'sent', 'delivered', 'undelivered', 'failed', 'expired')"
TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply."""
    _outbox()
    op.drop_constraint(op.f("ck_directory_kind"), "directory", type_="check")
    op.create_check_constraint(op.f("ck_directory_kind"), "directory", "kind IN ('msisdn', 'imsi', 'chat')")
    _wishes()
    _deliveries()
    _campaigns()
    for table in ("notice_count", "carrier_message"):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")


def _outbox() -> None:
    op.add_column("outbox", sa.Column("priority", sa.SmallInteger(), server_default="1", nullable=False))
    op.add_column("outbox", sa.Column("handed_to", sa.Text()))
    op.add_column("outbox", sa.Column("delivery", sa.Text(), server_default="queued", nullable=False))
    op.add_column("outbox", sa.Column("carrier", sa.Text()))
    op.add_column("outbox", sa.Column("error", sa.Text()))
    op.drop_constraint(op.f("ck_outbox_state"), "outbox", type_="check")
    op.create_check_constraint(op.f("ck_outbox_state"), "outbox", "state IN ('due', 'sent', 'parked', 'dropped')")
    op.create_check_constraint(op.f("ck_outbox_delivery"), "outbox", f"delivery {STATES}")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index("ix_outbox_due", "outbox", ["priority", "due_at"], postgresql_where=sa.text("state = 'due'"))
    op.create_index("ix_outbox_parked", "outbox", ["created_at"], postgresql_where=sa.text("state = 'parked'"))


def _line_key() -> list[sa.Column]:
    return [
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("line_id", sa.UUID(), nullable=False),
    ]


def _wishes() -> None:
    op.create_table(
        "preference",
        *_line_key(),
        sa.Column("channel", sa.Text(), server_default="sms", nullable=False),
        sa.Column("quiet_from", sa.Time()),
        sa.Column("quiet_to", sa.Time()),
        sa.Column("muted", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("opted_out_at", TIME),
        sa.CheckConstraint("channel IN ('sms', 'whatsapp', 'telegram')", name=op.f("ck_preference_channel")),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_to IS NULL)", name=op.f("ck_preference_quiet")),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", name=op.f("pk_preference")),
    )
    op.create_table(
        "chat",
        *_line_key(),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("sealed_chat", sa.LargeBinary(), nullable=False),
        sa.Column("linked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", "app", name=op.f("pk_chat")),
    )
    op.create_table(
        "link_code",
        *_line_key(),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column("key_id", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("issued", sa.SmallInteger(), nullable=False),
        sa.Column("window_from", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", name=op.f("pk_link_code")),
    )
    op.create_table(
        "seen_update",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("update_id", sa.Text(), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", "app", "update_id", name=op.f("pk_seen_update")),
    )
    op.create_index("ix_seen_update_seen", "seen_update", ["seen_at"])
    op.create_table(
        "notice_count",
        *_line_key(),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", "topic", "day", name=op.f("pk_notice_count")),
    )
    op.create_index("ix_notice_count_day", "notice_count", ["day"])


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(f"state {STATES}", name=op.f("ck_delivery_state")),
        sa.PrimaryKeyConstraint("shard", "message_id", "event_id", name=op.f("pk_delivery")),
    )
    op.create_table(
        "carrier_message",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("carrier_id", sa.Text(), nullable=False),
        sa.Column("message_shard", sa.SmallInteger()),
        sa.Column("message_id", sa.UUID()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("reported_as", sa.Text()),
        sa.Column("seen_at", TIME, nullable=False),
        sa.CheckConstraint(f"state {STATES}", name=op.f("ck_carrier_message_state")),
        sa.PrimaryKeyConstraint("shard", "carrier", "carrier_id", name=op.f("pk_carrier_message")),
    )
    op.create_index("ix_carrier_message_seen", "carrier_message", ["seen_at"])


def _campaigns() -> None:
    op.create_table(
        "watermark",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_watermark")),
    )
    op.create_table(
        "campaign",
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("key_id", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign")),
    )
    op.create_table(
        "campaign_recipient",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("message_shard", sa.SmallInteger(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "campaign_id", "digest", name=op.f("pk_campaign_recipient")),
    )
    op.create_index("ix_campaign_recipient_campaign", "campaign_recipient", ["campaign_id"])


def downgrade() -> None:
    """Take back. Linked chats are forgotten, and what was dropped counts as parked."""
    for table in RIGHTS:
        op.drop_table(table)
    op.execute("DELETE FROM directory WHERE kind = 'chat'")
    op.drop_constraint(op.f("ck_directory_kind"), "directory", type_="check")
    op.create_check_constraint(op.f("ck_directory_kind"), "directory", "kind IN ('msisdn', 'imsi')")
    op.drop_index("ix_outbox_parked", table_name="outbox")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.drop_constraint(op.f("ck_outbox_delivery"), "outbox", type_="check")
    op.drop_constraint(op.f("ck_outbox_state"), "outbox", type_="check")
    op.execute("UPDATE outbox SET state = 'parked' WHERE state = 'dropped'")
    op.create_check_constraint(op.f("ck_outbox_state"), "outbox", "state IN ('due', 'sent', 'parked')")
    for column in ("error", "carrier", "delivery", "handed_to", "priority"):
        op.drop_column("outbox", column)
    op.create_index("ix_outbox_due", "outbox", ["due_at"], postgresql_where=sa.text("state = 'due'"))
