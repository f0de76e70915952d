"""Campaigns: one message to many lines, each number once, however often the same campaign is started or killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.books.tables import OutboxState, outbox
from engine.notices.rules import policy
from engine.notices.tables import campaign, campaign_recipient
from engine.storage.bulk import arrays, insert_sql
from engine.storage.sharding import shard_of
from engine.words import BadNumber, LineStatus, Subscriber, UnknownLine
from runtime.keyring import Keyring

TOPIC = "campaign"
#: names every campaign; changing it would let a campaign that was broken off begin anew
NAMESPACE = UUID("3b0f4bd5-6a0e-5d3c-8f57-5d0a3d1d7c11")

_RECIPIENTS = (
    insert_sql(campaign_recipient, ("shard", "digest", "message_shard", "message_id"), ("campaign_id",))
    + " ON CONFLICT DO NOTHING RETURNING message_id"
)
_MESSAGES = insert_sql(
    outbox,
    ("shard", "message_id", "account_id", "line_id", "body"),
    ("topic", "state", "priority", "due_at", "created_at"),
)


class Campaign(NamedTuple):
    """A campaign that was started."""

    campaign_id: UUID
    name: str
    template: str
    key_id: int
    started_at: datetime


class _Recipient(NamedTuple):
    """One number of a campaign, as both tables need it."""

    subscriber: Subscriber
    digest: bytes
    message_id: UUID
    body: str


class Campaigns:
    """The campaigns of one operator."""

    def __init__(self, database: AsyncEngine, accounts: Accounts, keyring: Keyring) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._accounts = accounts
        self._keyring = keyring

    async def start(self, name: str, template: str) -> Campaign:
        """Start a campaign, or go on with the one of that name.

        Raises ``ValueError`` if that had another template, or its master key is gone.
        """
        campaign_id = uuid5(NAMESPACE, name)
        row = {
            "campaign_id": campaign_id,
            "name": name,
            "template": template,
            "key_id": self._keyring.current,
            "started_at": datetime.now(UTC),
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(campaign).values(row).on_conflict_do_nothing())
        known = await self.find(name)
        if known.template != template:
            raise ValueError(f"campaign {name} was started with the template {known.template}")
        if known.key_id not in self._keyring.ids:
            # Who has its message already is known by digests that this key made.
            raise ValueError(f"campaign {name} was started under key {known.key_id}, which is not in the settings")
        return known

    async def find(self, name: str) -> Campaign:
        """A campaign by its name. Raises ``LookupError``."""
        columns = (campaign.c[name] for name in Campaign._fields)
        query = sa.select(*columns).where(campaign.c.campaign_id == uuid5(NAMESPACE, name))
        async with self._reads.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise LookupError(f"no campaign is called {name}")
        return Campaign(*row)

    async def page(self, *, before: tuple[datetime, UUID] | None = None, limit: int = 50) -> list[Campaign]:
        """Campaigns, the newest first; ``before``: when the last one seen was started, and its id."""
        order = (campaign.c.started_at, campaign.c.campaign_id)
        query = sa.select(*(campaign.c[name] for name in Campaign._fields)).limit(limit)
        query = query.order_by(*(one.desc() for one in order))
        if before is not None:
            query = query.where(sa.tuple_(*order) < sa.tuple_(*before))
        async with self._reads.connect() as connection:
            return [Campaign(*row) for row in await connection.execute(query)]

    async def look_at(self, numbers: Sequence[str]) -> tuple[list[Subscriber], Counter[str]]:
        """The lines of these numbers, each once, and how many were none (``bad``, ``unknown``, ``closed``)."""
        found = await asyncio.gather(*(self._accounts.subscriber(number) for number in numbers), return_exceptions=True)
        counts: Counter[str] = Counter()
        lines: dict[str, Subscriber] = {}
        for one in found:
            if isinstance(one, BadNumber):
                counts["bad"] += 1
            elif isinstance(one, UnknownLine):
                counts["unknown"] += 1
            elif isinstance(one, BaseException):
                raise one
            elif one.status is LineStatus.TERMINATED:
                counts["closed"] += 1
            elif one.msisdn in lines:
                counts["twice"] += 1
            else:
                lines[one.msisdn] = one
        return list(lines.values()), counts

    async def write_to(self, to: Campaign, numbers: Sequence[str], say: Callable[[Subscriber], str]) -> Counter[str]:
        """Put a message for each number into the outbox, in one commit with the note that it has one.

        ``say`` makes the text for a line. Returns how many were ``queued``, had one ``already``, or are none.
        """
        lines, counts = await self.look_at(numbers)
        asked = [self._recipient(to, line, say(line)) for line in lines]
        if not asked:
            return counts
        columns = ("shard", "digest", "message_shard", "message_id")
        # In one order everywhere, so that two who write the same campaign wait for each other.
        rows = sorted((shard_of(one.digest), one.digest, one.subscriber.account.shard, one.message_id) for one in asked)
        async with self._database.begin() as connection:
            written = await connection.exec_driver_sql(
                _RECIPIENTS, {**arrays(campaign_recipient, columns, rows), "campaign_id": to.campaign_id}
            )
            fresh = {row[0] for row in written}
            messages = [
                (*one.subscriber.account, one.subscriber.line_id, one.message_id, one.body)
                for one in asked
                if one.message_id in fresh
            ]
            if messages:
                await connection.exec_driver_sql(_MESSAGES, _outbox(messages))
        counts["queued"] += len(fresh)
        counts["already"] += len(asked) - len(fresh)
        return counts

    async def outcome(self, of: Campaign) -> dict[str, int]:
        """How far a campaign has come: ``due``, ``sent``, ``delivered``, ``parked: why``, ``dropped: why`` → count."""
        why = sa.case(
            (outbox.c.state.in_([OutboxState.PARKED, OutboxState.DROPPED]), sa.func.coalesce(outbox.c.error, "")),
            (outbox.c.state == OutboxState.SENT, outbox.c.delivery),
            else_="",
        )
        query = (
            sa.select(outbox.c.state, why.label("why"), sa.func.count().label("many"))
            .join(
                campaign_recipient,
                sa.and_(
                    campaign_recipient.c.message_shard == outbox.c.shard,
                    campaign_recipient.c.message_id == outbox.c.message_id,
                ),
            )
            .where(campaign_recipient.c.campaign_id == of.campaign_id)
            .group_by(outbox.c.state, why)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        named: Counter[str] = Counter()
        for row in rows:
            name = row.why if row.state == OutboxState.SENT else f"{row.state}: {row.why}" if row.why else row.state
            named[name] += row.many
        return dict(sorted(named.items()))

    def _recipient(self, to: Campaign, line: Subscriber, text: str) -> _Recipient:
        digest = self._keyring.digest("campaign", to.campaign_id.bytes + line.msisdn.encode(), to.key_id)
        body = msgspec.json.encode({"text": text, "template": to.template}).decode()
        return _Recipient(line, digest, uuid5(to.campaign_id, digest.hex()), body)


def _outbox(messages: Sequence[tuple[int, UUID, UUID, UUID, str]]) -> dict[str, object]:
    now = datetime.now(UTC)
    rows = [(shard, message_id, owner, line, body) for shard, owner, line, message_id, body in messages]
    return {
        **arrays(outbox, ("shard", "message_id", "account_id", "line_id", "body"), rows),
        "topic": TOPIC,
        "state": OutboxState.DUE.value,
        "priority": int(policy(TOPIC).priority),
        "due_at": now,
        "created_at": now,
    }
