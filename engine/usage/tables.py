"""Tables of charging sessions, their reservations, and of what a line uses in a day and a month."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard
from engine.words import Unit

#: A session of the network. Its row is written when it opens and when it ends, not by each report.
session = sa.Table(
    "session",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    # Made of interface and name.
    sa.Column("session_id", UUID, primary_key=True),
    sa.Column("line_id", UUID),
    sa.Column("interface", sa.Text, nullable=False),
    # The network's own name for it, and after a line break the key of its usage records where that is another one.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("notify", sa.Text, nullable=False),
    sa.Column("opened_at", Timestamp, nullable=False),
    sa.Column("closed_at", Timestamp),
    sa.Index("ix_session_session_id", "session_id"),
    sa.Index("ix_session_node", "interface", "node", postgresql_where=sa.text("closed_at IS NULL AND node <> ''")),
    sa.Index("ix_session_closed", "closed_at", postgresql_where=sa.text("closed_at IS NOT NULL")),
)


class ReservationState(StrEnum):
    """How a quota stands. It ends once; the row takes the session's next one."""

    OPEN = "open"
    #: reported as used up
    USED = "used"
    #: given back
    RELEASED = "released"
    #: not reported within validity and grace
    EXPIRED = "expired"


#: What one rating group of a session holds, and has used since the session began.
reservation = sa.Table(
    "reservation",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("session_id", UUID, primary_key=True),
    sa.Column("rating_group", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # The quota, and what pays for it: [[bucket, amount], …]. The amounts are what buckets have reserved.
    sa.Column("granted", sa.BigInteger, nullable=False),
    sa.Column("legs", JSONB, nullable=False),
    # Since the session began: used and paid, used and paid by nobody, reported.
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("overrun", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    # Units paid with money under the tariff that holds, and how much that was: what is rounded is their sum.
    sa.Column("tariff", sa.Text),
    sa.Column("priced", sa.BigInteger, nullable=False),
    sa.Column("paid", sa.BigInteger, nullable=False),
    sa.Column("began_at", Timestamp, nullable=False),
    sa.Column("reported_at", Timestamp, nullable=False),
    # When the quota ends, without the grace.
    sa.Column("expires_at", Timestamp, nullable=False),
    one_of("unit", Unit),
    one_of("state", ReservationState),
    sa.CheckConstraint("granted >= 0 AND used >= 0 AND overrun >= 0", name="amounts"),
    sa.CheckConstraint("state = 'open' OR legs = '[]'", name="legs"),
    sa.Index("ix_reservation_open", "expires_at", postgresql_where=sa.text("state = 'open'")),
)

#: What a line uses of a unit: today, this month, on a usual day, and its own limits.
meter = sa.Table(
    "meter",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("unit", sa.Text, primary_key=True),
    # Beginnings of the local day and month that are counted.
    sa.Column("day_from", Timestamp, nullable=False),
    sa.Column("today", sa.BigInteger, nullable=False),
    sa.Column("day_cap", sa.BigInteger),
    sa.Column("month_from", Timestamp, nullable=False),
    sa.Column("this_month", sa.BigInteger, nullable=False),
    sa.Column("month_cap", sa.BigInteger),
    # A moving mean of the days before today; NULL before the first of them is over.
    sa.Column("usual", sa.BigInteger),
    # What the account's owner set: the line's own limits stay below.
    sa.Column("day_bound", sa.BigInteger),
    sa.Column("month_bound", sa.BigInteger),
    one_of("unit", Unit),
)
