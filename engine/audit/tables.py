"""Tables of the audit trail: what staff did, the chain of signed roots, and how far it has come."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, shard

#: Something that a person of the operator did. Never changed. Lives in the account's shard, or in shard 0.
staff_action = sa.Table(
    "staff_action",
    metadata,
    shard(),
    sa.Column("action_id", UUID, primary_key=True),
    # On whom; NULL where no account is concerned. Numbers stand sealed in the line's row and nowhere else.
    sa.Column("account_id", UUID),
    sa.Column("line_id", UUID),
    sa.Column("by", sa.Text, nullable=False),
    # ``line.status``, ``voucher.move``, ``dispute.resolve`` …; ``….refused`` when it came to nothing
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    # Codes, ids and amounts.
    sa.Column("detail", JSONB, nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Index("ix_staff_action_account", "shard", "account_id"),
    sa.Index("ix_staff_action_at", "at", postgresql_using="brin"),
    sa.Index("ix_staff_action_time", "at", "action_id"),
    sa.Index("ix_staff_action_by", "by", "at", "action_id"),
)

#: One link of a shard's chain (see ``engine.audit.rules.Root``). Never changed.
audit_root = sa.Table(
    "audit_root",
    metadata,
    shard(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("first", Timestamp, nullable=False),
    sa.Column("last", Timestamp, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    # Which rows, and their hashes: 65 bytes for each.
    sa.Column("leaves", sa.LargeBinary, nullable=False),
    sa.Column("merkle_root", sa.LargeBinary, nullable=False),
    sa.Column("prev_hash", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("sealed_at", Timestamp, nullable=False),
    sa.Index("ix_audit_root_sealed_at", "sealed_at"),
)

#: How far the sealing has come: what every transaction below ``finished_xid`` wrote is in the chain.
audit_progress = sa.Table(
    "audit_progress",
    metadata,
    # ``narrow`` or ``wide``
    sa.Column("name", sa.Text, primary_key=True),
    # Whose numbers these are.
    sa.Column("database", sa.Text, nullable=False),
    sa.Column("finished_xid", sa.BigInteger, nullable=False),
    # All transactions from ``finished_xid`` on began to write after this time.
    sa.Column("settled_at", Timestamp, nullable=False),
    # Becomes ``settled_at`` once all transactions below ``pending_xid`` are over.
    sa.Column("pending_at", Timestamp, nullable=False),
    sa.Column("pending_xid", sa.BigInteger, nullable=False),
    sa.Column("run_at", Timestamp, nullable=False),
)

#: The last root of each shard that is known to stand outside the database.
audit_exported = sa.Table(
    "audit_exported",
    metadata,
    shard(),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
