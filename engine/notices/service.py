"""The outbox at work: messages written, claimed, attempted and reported on, under ids that never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts.chats import Chats
from engine.accounts.service import Accounts, Contact
from engine.books.tables import OutboxState, outbox
from engine.notices import store
from engine.notices.attempts import Attempts
from engine.notices.outbox import write_message
from engine.notices.rules import NOTHING_ASKED, Gate, Priority, gate, policy
from engine.notices.tables import delivery
from engine.notices.told import drop_unsent
from engine.storage.sharding import SHARDS
from engine.words import AccountRef, Channel, DeliveryEvent, DeliveryState, LineRef, Message, ParkedMessage, Preferences
from settings import Operator


class Messages:
    """The outbox of one installation."""

    def __init__(self, database: AsyncEngine, operator: Operator, accounts: Accounts, linked: Chats) -> None:
        """``accounts`` and ``linked`` tell how a line is reached: the outbox itself holds no number."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator
        self._zone = ZoneInfo(operator.timezone)
        self._accounts = accounts
        self._linked = linked
        attempts = Attempts(database)
        self.record_attempt = attempts.record_attempt
        self.record_report = attempts.record_report
        self.hand_over = attempts.hand_over
        self.postpone = attempts.postpone
        self.close = attempts.close

    async def tell(
        self,
        account: AccountRef,
        line_id: UUID,
        message_id: UUID,
        topic: str,
        body: dict[str, Any],
        *,
        instead_of: store.MessageRef | None = None,
    ) -> bool:
        """Write a message to a line, once: False if there is one of that id. ``message_id`` should be derived.

        ``instead_of``: the receipt that says the same; it is let be in the same commit.
        """
        async with self._database.begin() as connection:
            if instead_of is not None:
                await drop_unsent(connection, instead_of)
            return await write_message(connection, account, line_id, message_id, topic=topic, body=body)

    async def claim_messages(self, limit: int, lease_seconds: int) -> list[Message]:
        """Take rows that are due, urgent ones first, numbers decrypted; others skip them until the lease ends.

        A claim is nothing but a later due time, so a worker that dies gives its rows back by doing nothing. What its
        person does not want, or not now, is put aside here and not returned.
        """
        now = datetime.now(UTC)
        rows: list[RowMapping] = []
        async with self._database.begin() as connection:
            for priority in Priority:
                if len(rows) < limit:
                    left, lease = limit - len(rows), timedelta(seconds=lease_seconds)
                    rows += await store.claim(connection, priority, left, now, lease)
            lines = {line for row in rows if (line := _line(row)) is not None}
            wanted = await store.wishes(connection, lines) if lines else {}
            going = await self._sift(connection, rows, wanted, now)
        return await self._addressed(going, wanted)

    async def _sift(
        self, connection: AsyncConnection, rows: Sequence[RowMapping], wanted: dict[LineRef, Preferences], now: datetime
    ) -> list[RowMapping]:
        """Put aside what may not go now; return what goes."""
        going: list[RowMapping] = []
        held: dict[store.MessageRef, datetime] = {}
        dropped: list[tuple[RowMapping, str]] = []
        for row in rows:
            line = _line(row)
            wishes = NOTHING_ASKED if line is None else wanted.get(line, NOTHING_ASKED)
            verdict: Gate = gate(row["topic"], wishes, self._operator.notifications, now, self._zone)
            if verdict.dropped is not None:
                dropped.append((row, verdict.dropped))
            elif verdict.until is not None:
                held[row["shard"], row["message_id"]] = verdict.until
            else:
                going.append(row)
        going, often = await self._capped(connection, going, now)
        dropped += [(row, "often_enough") for row in often]
        await store.postpone(connection, held, counted=False)
        if dropped:
            await self._drop(connection, dropped)
        return going

    async def _capped(
        self, connection: AsyncConnection, rows: Sequence[RowMapping], now: datetime
    ) -> tuple[list[RowMapping], list[RowMapping]]:
        """Count what is let through for the first time; (what goes, what was heard often enough today)."""
        counted = [row for row in rows if row["attempts"] == 1 and policy(row["topic"]).capped and _line(row)]
        if not counted:
            return list(rows), []
        told = Counter((LineRef(row["shard"], row["account_id"], row["line_id"]), row["topic"]) for row in counted)
        counts = await store.count_notices(connection, told, now.astimezone(self._zone).date())
        # The oldest of each topic go first; ``over`` is how many of this claim are beyond the cap.
        most = self._operator.notifications.per_day
        over = {key: min(told[key], max(0, count - most)) for key, count in counts.items()}
        refused: set[store.MessageRef] = set()
        for row in sorted(counted, key=lambda row: row["created_at"], reverse=True):
            key = (LineRef(row["shard"], row["account_id"], row["line_id"]), row["topic"])
            if over[key] > 0:
                over[key] -= 1
                refused.add((row["shard"], row["message_id"]))
        often = [row for row in rows if (row["shard"], row["message_id"]) in refused]
        return [row for row in rows if (row["shard"], row["message_id"]) not in refused], often

    async def _drop(self, connection: AsyncConnection, dropped: Sequence[tuple[RowMapping, str]]) -> None:
        outcomes = [
            store.Outcome(
                row["shard"],
                row["message_id"],
                OutboxState.DROPPED,
                due_at=None,
                sent_at=None,
                handed_to=None,
                delivery=DeliveryState.QUEUED,
                carrier=None,
                error=reason,
            )
            for row, reason in dropped
        ]
        await store.keep_outcomes(connection, outcomes)

    async def _addressed(self, rows: Sequence[RowMapping], wanted: dict[LineRef, Preferences]) -> list[Message]:
        lines = {line for row in rows if (line := _line(row)) is not None}
        contacts = await self._accounts.reveal(lines)
        elsewhere = [line for line in lines if wanted.get(line, NOTHING_ASKED).channel is Channel.TELEGRAM]
        chats = await self._linked.reveal(elsewhere)
        nobody = Contact(None, self._operator.languages[0], self._operator.currency)
        messages = []
        for row in sorted(rows, key=lambda row: (row["priority"], row["created_at"], row["message_id"])):
            line = _line(row)
            messages.append(
                Message(
                    shard=row["shard"],
                    message_id=row["message_id"],
                    topic=row["topic"],
                    body=row["body"],
                    created_at=row["created_at"],
                    attempts=row["attempts"],
                    handed_to=row["handed_to"],
                    repeatable=policy(row["topic"]).repeatable,
                    channel=Channel.SMS if line is None else wanted.get(line, NOTHING_ASKED).channel,
                    chats={} if line is None else chats.get(line, {}),
                    **contacts.get(row["line_id"], nobody)._asdict(),
                )
            )
        return messages

    # -- for staff --------------------------------------------------------------------------------------------------

    async def parked_messages(
        self, limit: int = 100, *, before: tuple[datetime, UUID] | None = None
    ) -> list[ParkedMessage]:
        """Messages that were given up, the newest first; ``before``: when the last one seen was written, and its id."""
        columns = ("message_id", "line_id", "topic", "attempts", "carrier", "error", "created_at")
        query = (
            sa.select(*(outbox.c[name] for name in columns))
            .where(outbox.c.state == OutboxState.PARKED)
            .order_by(outbox.c.created_at.desc(), outbox.c.message_id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(sa.tuple_(outbox.c.created_at, outbox.c.message_id) < sa.tuple_(*before))
        async with self._reads.connect() as connection:
            return [ParkedMessage(**row) for row in (await connection.execute(query)).mappings()]

    async def resend_message(self, message_id: UUID) -> bool:
        """Let a parked message be due again, as if it had never been tried. False if none of that id is parked.

        Where its outcome was unknown this may send it twice: that is for staff to decide, who sees the reason. A code
        that was given up is forgotten and goes to nobody.
        """
        again = (
            sa.update(outbox)
            .where(outbox.c.message_id == message_id, outbox.c.state == OutboxState.PARKED)
            .where(outbox.c.topic.not_in(store.TOPICS_WITH_CODE))
            .values(state=OutboxState.DUE, due_at=datetime.now(UTC), attempts=0, handed_to=None, error=None)
            .returning(outbox.c.shard)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(again)).first() is not None

    async def message_history(self, message_id: UUID) -> list[DeliveryEvent]:
        """What happened to a message, oldest first."""
        query = (
            sa.select(delivery.c.state, delivery.c.carrier, delivery.c.error, delivery.c.at)
            # Whose message it is nobody knows here: one probe of the key in each shard.
            .where(delivery.c.shard.in_(range(SHARDS)), delivery.c.message_id == message_id)
            .order_by(delivery.c.at, delivery.c.event_id)
        )
        async with self._reads.connect() as connection:
            rows = await connection.execute(query)
            return [
                DeliveryEvent(state=DeliveryState(row.state), carrier=row.carrier, error=row.error, at=row.at)
                for row in rows
            ]


def _line(row: RowMapping) -> LineRef | None:
    return None if row["line_id"] is None else LineRef(row["shard"], row["account_id"], row["line_id"])
