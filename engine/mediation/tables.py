"""Tables of mediation: usage records, the files they came in, what was set aside, what collection points differ in."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import SetAsideReason, Unit


class BatchState(StrEnum):
    """How far the records of a batch have come."""

    STAGING = "staging"
    CHARGING = "charging"
    DONE = "done"


#: One record, once: its key is what makes it the same record. Whatever stands here is charged or compared, never both.
#: Partitioned by the month in which the use began.
usage_record = sa.Table(
    "usage_record",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    # Made of interface and name, as the session's own key is: what was charged online is found by it.
    sa.Column("session_key", UUID, primary_key=True),
    sa.Column("rating_group", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("started_at", Timestamp, primary_key=True),
    sa.Column("ended_at", Timestamp, nullable=False),
    sa.Column("line_id", UUID, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    # Octets, by direction.
    sa.Column("uplink", sa.BigInteger, nullable=False),
    sa.Column("downlink", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    # Whether this record is charged; if not, its session was charged online or from another source.
    sa.Column("due", sa.Boolean, nullable=False),
    sa.Column("batch_id", UUID, nullable=False),
    one_of("unit", Unit),
    sa.CheckConstraint("amount >= 0 AND uplink >= 0 AND downlink >= 0", name="amounts"),
    sa.CheckConstraint("ended_at >= started_at", name="times"),
    # Ids of batches grow with time, and so do the rows of a batch: a few bytes tell where they lie.
    sa.Index("ix_usage_record_batch_id", "batch_id", postgresql_using="brin"),
    postgresql_partition_by="RANGE (started_at)",
)

#: One file, by the digest of its content.
usage_file = sa.Table(
    "usage_file",
    metadata,
    sa.Column("file_id", UUID, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("interface", sa.Text, nullable=False),
    # Lines that are read, in the same commit as what became of them.
    sa.Column("lines", sa.BigInteger, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("duplicates", sa.BigInteger, nullable=False),
    sa.Column("set_aside", sa.BigInteger, nullable=False),
    sa.Column("started_at", Timestamp, nullable=False),
    sa.Column("finished_at", Timestamp),
    sa.Index("ix_usage_file_started_at", "started_at"),
)

#: Records that are charged together. ``shard`` and ``account_id`` say up to which account that is done.
usage_batch = sa.Table(
    "usage_batch",
    metadata,
    sa.Column("batch_id", UUID, primary_key=True),
    sa.Column("file_id", UUID, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("account_id", UUID, nullable=False),
    sa.Column("staged_at", Timestamp, nullable=False),
    one_of("state", BatchState),
    sa.Index("ix_usage_batch_open", "file_id", postgresql_where=sa.text("state <> 'done'")),
)

#: Lines that wait for somebody to look, or for the line they name. They hold numbers, so they are sealed.
usage_set_aside = sa.Table(
    "usage_set_aside",
    metadata,
    sa.Column("file_id", UUID, primary_key=True),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    one_of("reason", SetAsideReason),
)

#: What a collection point tells of a session, against what was charged for it.
usage_difference = sa.Table(
    "usage_difference",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("session_key", UUID, primary_key=True),
    sa.Column("rating_group", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("stated", sa.BigInteger, nullable=False),
    sa.Column("charged", sa.BigInteger, nullable=False),
    sa.Column("found_at", Timestamp, nullable=False),
    one_of("unit", Unit),
    sa.Index("ix_usage_difference_found_at", "found_at"),
)
