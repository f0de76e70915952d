"""Tables of staff. They have no shards: few rows, and no account's."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, one_of
from engine.words import Role

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
    one_of("role", Role),
)
