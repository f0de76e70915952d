"""Tables of staff. They have no shards: few rows, and no account's."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, one_of
from engine.words import LineStatus, RequestKind, RequestState, Role, Unit

#: A person of the operator.
staff_member = sa.Table(
    "staff_member",
    metadata,
    sa.Column("staff_id", UUID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    # ``key id:argon2id`` of the peppered password.
    sa.Column("password_hash", sa.Text, nullable=False),
    # The secret of one-time codes, AES-256-GCM under the key of that id, nonce first.
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    # The time step of the last code used: a code is good once.
    sa.Column("code_step", sa.BigInteger, nullable=False, server_default="0"),
    # Wrong tries in a row; they count in Postgres before anything is compared.
    sa.Column("failures", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("locked_until", Timestamp),
    # Sessions that began under another one are over.
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
    sa.Column("disabled_at", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("signed_in_at", Timestamp),
    # Who of the staff gave them password and secret, and so knows both; NULL: whoever runs the machine did.
    sa.Column("credentials_by", UUID, sa.ForeignKey("staff_member.staff_id")),
    sa.Column("credentials_at", Timestamp, nullable=False),
    one_of("role", Role),
)

#: What a person asked for, and what became of it. What was asked is never changed.
staff_request = sa.Table(
    "staff_request",
    metadata,
    sa.Column("request_id", UUID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    # The line that it is about.
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("account_id", UUID, nullable=False),
    sa.Column("line_id", UUID, nullable=False),
    # How much of what; NULL where nothing is moved.
    sa.Column("unit", sa.Text),
    sa.Column("amount", sa.BigInteger),
    # The operation or payment that is meant.
    sa.Column("subject", UUID),
    sa.Column("status", sa.Text),
    sa.Column("asked_by", UUID, sa.ForeignKey("staff_member.staff_id"), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("asked_at", Timestamp, nullable=False),
    # Nobody else has to approve it.
    sa.Column("alone", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("decided_by", UUID, sa.ForeignKey("staff_member.staff_id")),
    sa.Column("decided_why", sa.Text),
    sa.Column("decided_at", Timestamp),
    sa.Column("outcome", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("done_at", Timestamp),
    one_of("kind", RequestKind),
    one_of("state", RequestState),
    one_of("unit", Unit),
    one_of("status", LineStatus),
    # Four eyes: whoever asked never decides, and nothing that needs them is done without.
    sa.CheckConstraint("decided_by <> asked_by", name="two_people"),
    sa.CheckConstraint(
        "alone OR decided_by IS NOT NULL OR state IN ('pending', 'expired')", name="approved_by_somebody"
    ),
    sa.CheckConstraint("(unit IS NULL) = (amount IS NULL)", name="amount"),
    sa.Index("ix_staff_request_asked_at", "asked_at", "request_id"),
    sa.Index("ix_staff_request_open", "asked_at", postgresql_where=sa.text("state IN ('pending', 'approved')")),
    sa.Index("ix_staff_request_account", "shard", "account_id"),
    sa.Index("ix_staff_request_asked_by", "asked_by", "asked_at"),
)
