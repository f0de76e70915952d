"""Tables of accounts and lines."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import LineStatus


class AccountKind(StrEnum):
    """How an account pays."""

    PREPAID = "prepaid"
    #: may go below zero down to its limit, and is billed
    POSTPAID = "postpaid"


class LineKind(StrEnum):
    """What a line is reached by."""

    MOBILE = "mobile"
    FIXED = "fixed"


class NumberKind(StrEnum):
    """What a directory entry finds a line by."""

    MSISDN = "msisdn"
    IMSI = "imsi"
    #: a chat of a messaging app: ``telegram|81726354``
    CHAT = "chat"


#: The owner of balances, and the unit of locking: whoever changes a balance holds this row first.
account = sa.Table(
    "account",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, server_default=AccountKind.PREPAID),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    # The account's own data key, wrapped under a master key; NULL once the person has been erased.
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary),
    # Set while an invariant fails: reads are served, nothing goes out.
    sa.Column("frozen_at", Timestamp),
    sa.Column("frozen_reason", sa.Text),
    sa.Column("opened_at", Timestamp, nullable=False),
    one_of("kind", AccountKind),
)

line = sa.Table(
    "line",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, server_default=LineKind.MOBILE),
    sa.Column("status", sa.Text, nullable=False, server_default=LineStatus.PREACTIVE),
    sa.Column("language", sa.Text, nullable=False),
    # Numbers: AES-256-GCM under the account's data key, nonce first.
    sa.Column("sealed_msisdn", sa.LargeBinary),
    sa.Column("sealed_imsi", sa.LargeBinary),
    sa.Column("pin_hash", sa.Text),
    sa.Column("pin_failures", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("pin_locked_until", Timestamp),
    # Wrong voucher numbers since voucher_window_from: they guard money, so they live here and not in Redis.
    sa.Column("voucher_failures", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("voucher_window_from", Timestamp),
    sa.Column("voucher_locked_until", Timestamp),
    # What the network was last told that it may serve; the rules themselves are ``provisioning_rule``.
    sa.Column("policy", ARRAY(sa.Text), nullable=False, server_default="{}"),
    # Whether money pays when bundles are used up; NULL: the person never said.
    sa.Column("out_of_bundle", sa.Boolean),
    sa.Column("opened_at", Timestamp, nullable=False),
    # When the line was last given another SIM; NULL: never.
    sa.Column("sim_changed_at", Timestamp),
    one_of("kind", LineKind),
    one_of("status", LineStatus),
    sa.ForeignKeyConstraint(["shard", "account_id"], ["account.shard", "account.account_id"]),
)

#: Number → line. Lives in the shard of the number's digest, so a number is found with one probe.
directory = sa.Table(
    "directory",
    metadata,
    shard(),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key_id", sa.SmallInteger, nullable=False),
    sa.Column("owner_shard", sa.SmallInteger, nullable=False),
    sa.Column("account_id", UUID, nullable=False),
    sa.Column("line_id", UUID, nullable=False),
    one_of("kind", NumberKind),
)

#: The chat of one app that belongs to a line. It is found by its digest in ``directory``.
chat = sa.Table(
    "chat",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("app", sa.Text, primary_key=True),
    # AES-256-GCM under the account's data key, like numbers.
    sa.Column("sealed_chat", sa.LargeBinary, nullable=False),
    sa.Column("linked_at", Timestamp, nullable=False),
)


def _codes(name: str) -> sa.Table:
    """One-time codes of one purpose; see ``engine.accounts.codes``."""
    return sa.Table(
        name,
        metadata,
        shard(),
        sa.Column("account_id", UUID, primary_key=True),
        sa.Column("line_id", UUID, primary_key=True),
        # HMAC-SHA-256 of line and code; NULL once it was used.
        sa.Column("digest", sa.LargeBinary),
        sa.Column("key_id", sa.SmallInteger, nullable=False),
        sa.Column("tries", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", Timestamp, nullable=False),
        # Codes given since window_from: each brings new tries, so their number is bounded too.
        sa.Column("issued", sa.SmallInteger, nullable=False),
        sa.Column("window_from", Timestamp, nullable=False),
    )


#: The code that proves that who writes in a chat also holds the line.
link_code = _codes("link_code")

#: The code by which who holds a line signs in to the portal.
sign_in_code = _codes("sign_in_code")

#: The code by which who holds a line confirms that its person is to be forgotten.
erasure_code = _codes("erasure_code")
