"""Tables of vouchers."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard


class BatchState(StrEnum):
    """The life of a voucher batch. Expiry is a date, not a state: nothing has to run for it to hold."""

    CREATED = "created"
    PRINTED = "printed"
    SHIPPED = "shipped"
    #: on sale: the only state in which its vouchers can be redeemed
    ACTIVE = "active"
    #: stopped, may become active again
    BLOCKED = "blocked"
    #: stopped for good
    RECALLED = "recalled"


class VoucherState(StrEnum):
    """The life of one voucher within its batch."""

    UNUSED = "unused"
    REDEEMED = "redeemed"
    BLOCKED = "blocked"


voucher_batch = sa.Table(
    "voucher_batch",
    metadata,
    sa.Column("batch_id", UUID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, server_default=BatchState.CREATED),
    sa.Column("face_value", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("validity_days", sa.SmallInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    # The master key whose derived key made the digests: keys can rotate, printed vouchers stay valid.
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("activated_by", sa.Text),
    sa.Column("activated_at", Timestamp),
    one_of("state", BatchState),
    sa.CheckConstraint("face_value > 0", name="face_value"),
    # Two people: whoever made the numbers does not put them on sale.
    sa.CheckConstraint("activated_by <> created_by", name="two_people"),
    sa.Index("ix_voucher_batch_created", "created_at", "batch_id"),
)

#: One voucher: found by HMAC-SHA-256 of its number, in the shard of that digest. The number itself is nowhere.
voucher = sa.Table(
    "voucher",
    metadata,
    shard(),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("batch_id", UUID, sa.ForeignKey("voucher_batch.batch_id"), nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default=VoucherState.UNUSED),
    sa.Column("redeemed_shard", sa.SmallInteger),
    sa.Column("redeemed_account", UUID),
    sa.Column("redeemed_key", UUID),
    sa.Column("redeemed_at", Timestamp),
    one_of("state", VoucherState),
    sa.CheckConstraint("(state = 'redeemed') = (redeemed_key IS NOT NULL)", name="redeemed"),
    sa.Index("ix_voucher_serial", "batch_id", "serial"),
)
