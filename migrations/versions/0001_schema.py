"""The tables: accounts, lines, buckets, vouchers, the books, the outbox.

Revision: 0001, the first
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="prepaid", nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("key_id", sa.SmallInteger(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("frozen_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("frozen_reason", sa.Text(), nullable=True),
        sa.Column("opened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('prepaid', 'postpaid')", name=op.f("ck_account_kind")),
        sa.PrimaryKeyConstraint("shard", "account_id", name=op.f("pk_account")),
    )
    op.create_table(
        "batch_total",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("ledger", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("booked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("debits", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "ledger IN ('balance', 'vouchers', 'usage', 'sales', 'grants', 'consumed', 'breakage', 'adjustments')",
            name=op.f("ck_batch_total_ledger"),
        ),
        sa.CheckConstraint("unit IN ('money', 'octets', 'seconds', 'messages')", name=op.f("ck_batch_total_unit")),
        sa.PrimaryKeyConstraint("shard", "batch_id", "ledger", "unit", "booked_at", name=op.f("pk_batch_total")),
        postgresql_partition_by="RANGE (booked_at)",
    )
    op.create_table(
        "directory",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_id", sa.SmallInteger(), nullable=False),
        sa.Column("owner_shard", sa.SmallInteger(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("line_id", sa.UUID(), nullable=False),
        sa.CheckConstraint("kind IN ('msisdn', 'imsi')", name=op.f("ck_directory_kind")),
        sa.PrimaryKeyConstraint("shard", "digest", name=op.f("pk_directory")),
    )
    op.create_table(
        "guard_event",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("seen_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("shard", "event_id", name=op.f("pk_guard_event")),
    )
    op.create_index("ix_guard_event_seen", "guard_event", ["kind", "seen_at"], unique=False)
    op.create_table(
        "operation",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.UUID(), nullable=False),
        sa.Column("booked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("line_id", sa.UUID(), nullable=True),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("reverses", sa.UUID(), nullable=True),
        sa.PrimaryKeyConstraint("shard", "account_id", "key", "booked_at", name=op.f("pk_operation")),
        postgresql_partition_by="RANGE (booked_at)",
    )
    op.create_table(
        "outbox",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=True),
        sa.Column("line_id", sa.UUID(), nullable=True),
        sa.Column("operation_key", sa.UUID(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="due", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('due', 'sent', 'parked')", name=op.f("ck_outbox_state")),
        sa.PrimaryKeyConstraint("shard", "message_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_due", "outbox", ["due_at"], unique=False, postgresql_where=sa.text("state = 'due'"))
    op.create_table(
        "product",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_product")),
    )
    op.create_table(
        "transfer",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.UUID(), nullable=False),
        sa.Column("leg", sa.SmallInteger(), nullable=False),
        sa.Column("booked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("bucket_id", sa.UUID(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.CheckConstraint("(debit = 'balance') <> (credit = 'balance')", name=op.f("ck_transfer_one_bucket")),
        sa.CheckConstraint(
            "credit IN ('balance', 'vouchers', 'usage', 'sales', 'grants', 'consumed', 'breakage', 'adjustments')",
            name=op.f("ck_transfer_credit"),
        ),
        sa.CheckConstraint(
            "debit IN ('balance', 'vouchers', 'usage', 'sales', 'grants', 'consumed', 'breakage', 'adjustments')",
            name=op.f("ck_transfer_debit"),
        ),
        sa.CheckConstraint("unit IN ('money', 'octets', 'seconds', 'messages')", name=op.f("ck_transfer_unit")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfer_amount")),
        sa.PrimaryKeyConstraint("shard", "account_id", "key", "leg", "booked_at", name=op.f("pk_transfer")),
        postgresql_partition_by="RANGE (booked_at)",
    )
    op.create_table(
        "voucher_batch",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), server_default="created", nullable=False),
        sa.Column("face_value", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("validity_days", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.SmallInteger(), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("activated_by", sa.Text(), nullable=True),
        sa.Column("activated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('created', 'printed', 'shipped', 'active', 'blocked', 'recalled')",
            name=op.f("ck_voucher_batch_state"),
        ),
        sa.CheckConstraint("activated_by <> created_by", name=op.f("ck_voucher_batch_two_people")),
        sa.CheckConstraint("face_value > 0", name=op.f("ck_voucher_batch_face_value")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_voucher_batch")),
    )
    op.create_table(
        "bucket",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("bucket_id", sa.UUID(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("initial", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("starts_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("unit IN ('money', 'octets', 'seconds', 'messages')", name=op.f("ck_bucket_unit")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_bucket_amount")),
        sa.CheckConstraint("reserved BETWEEN 0 AND amount", name=op.f("ck_bucket_reserved")),
        sa.ForeignKeyConstraint(
            ["shard", "account_id"], ["account.shard", "account.account_id"], name=op.f("fk_bucket_shard")
        ),
        sa.PrimaryKeyConstraint("shard", "account_id", "bucket_id", name=op.f("pk_bucket")),
    )
    op.create_index(
        "ix_bucket_due",
        "bucket",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("amount > 0 AND expires_at IS NOT NULL"),
    )
    op.create_table(
        "line",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("line_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="mobile", nullable=False),
        sa.Column("status", sa.Text(), server_default="preactive", nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("sealed_msisdn", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_imsi", sa.LargeBinary(), nullable=True),
        sa.Column("pin_hash", sa.Text(), nullable=True),
        sa.Column("pin_failures", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("pin_locked_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("voucher_failures", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("voucher_window_from", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("voucher_locked_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("opened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('mobile', 'fixed')", name=op.f("ck_line_kind")),
        sa.CheckConstraint(
            "status IN ('preactive', 'active', 'suspended', 'barred', 'terminated')", name=op.f("ck_line_status")
        ),
        sa.ForeignKeyConstraint(
            ["shard", "account_id"], ["account.shard", "account.account_id"], name=op.f("fk_line_shard")
        ),
        sa.PrimaryKeyConstraint("shard", "account_id", "line_id", name=op.f("pk_line")),
    )
    op.create_table(
        "voucher",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="unused", nullable=False),
        sa.Column("redeemed_shard", sa.SmallInteger(), nullable=True),
        sa.Column("redeemed_account", sa.UUID(), nullable=True),
        sa.Column("redeemed_key", sa.UUID(), nullable=True),
        sa.Column("redeemed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'redeemed') = (redeemed_key IS NOT NULL)", name=op.f("ck_voucher_redeemed")),
        sa.CheckConstraint("state IN ('unused', 'redeemed', 'blocked')", name=op.f("ck_voucher_state")),
        sa.ForeignKeyConstraint(["batch_id"], ["voucher_batch.batch_id"], name=op.f("fk_voucher_batch_id")),
        sa.PrimaryKeyConstraint("shard", "digest", name=op.f("pk_voucher")),
    )
    op.create_index("ix_voucher_serial", "voucher", ["batch_id", "serial"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_voucher_serial", table_name="voucher")
    op.drop_table("voucher")
    op.drop_table("line")
    op.drop_index(
        "ix_bucket_due", table_name="bucket", postgresql_where=sa.text("amount > 0 AND expires_at IS NOT NULL")
    )
    op.drop_table("bucket")
    op.drop_table("voucher_batch")
    op.drop_table("transfer")
    op.drop_table("product")
    op.drop_index("ix_outbox_due", table_name="outbox", postgresql_where=sa.text("state = 'due'"))
    op.drop_table("outbox")
    op.drop_table("operation")
    op.drop_index("ix_guard_event_seen", table_name="guard_event")
    op.drop_table("guard_event")
    op.drop_table("directory")
    op.drop_table("batch_total")
    op.drop_table("account")
