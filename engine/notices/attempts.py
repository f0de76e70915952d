"""What became of messages: attempts and reports, many in one commit, in whatever order they are heard of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.books.tables import OutboxState
from engine.notices import store
from engine.notices.rules import forward
from engine.notices.store import Event, Name, Outcome
from engine.storage.sharding import new_id, shard_of
from engine.words import DeliveryState, Message
from runtime.batching import Batcher


class Attempt(NamedTuple):
    """One hand-over to a carrier and what it came to."""

    message: Message
    carrier: str | None
    carrier_id: str | None
    state: DeliveryState
    error: str | None
    retry_at: datetime | None
    unsure: bool


class Reported(NamedTuple):
    """One report, under every spelling of the carrier's name for the message."""

    carrier: str
    carrier_ids: tuple[str, ...]
    state: DeliveryState
    error: str | None


def _name_shard(carrier: str, carrier_id: str) -> int:
    return shard_of(f"{carrier}|{carrier_id}".encode())


class Attempts:
    """The delivery states of one installation. Concurrent calls share a commit."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._attempts = Batcher[Attempt, None](self._keep_attempts, touches=lambda one: (one.message.message_id,))
        self._reports = Batcher[Reported, bool](self._keep_reports, touches=lambda one: one.carrier_ids)
        self._handing = Batcher[tuple[Message, str], None](self._keep_handed)

    async def close(self) -> None:
        """Finish what is being written."""
        for batcher in (self._handing, self._attempts, self._reports):
            await batcher.drain()

    async def hand_over(self, message: Message, carrier: str) -> None:
        """Note that a message is being given to a carrier that could not recognise it a second time.

        Should this process die now, whoever claims the message next sees it in ``handed_to``.
        """
        await self._handing((message, carrier))

    async def record_attempt(
        self,
        message: Message,
        carrier: str | None,
        carrier_id: str | None,
        state: DeliveryState,
        error: str | None = None,
        *,
        retry_at: datetime | None = None,
        unsure: bool = False,
    ) -> None:
        """Keep what one attempt came to.

        ``state`` from ``sent`` on ends the work on the message. Below, or ``failed``, it is tried again at
        ``retry_at``, or parked for staff without one. ``unsure`` keeps in mind that ``carrier`` may have it. A report
        that came before is applied now. ``carrier_id`` is the carrier's name for it, where it gives one.
        """
        await self._attempts(Attempt(message, carrier, carrier_id, state, error, retry_at, unsure))

    async def record_report(
        self, carrier: str, carrier_ids: Sequence[str], state: DeliveryState, error: str | None = None
    ) -> bool:
        """Raise the state of the message that a carrier reports on.

        ``carrier_ids``: the carrier's name for it in every spelling, its own first. False where no message has such a
        name yet: the report waits for the attempt. States only move up in rank, so reports may come in any order and
        as often as they like.
        """
        return await self._reports(Reported(carrier, tuple(dict.fromkeys(carrier_ids)), state, error))

    async def postpone(self, messages: Sequence[Message], until: datetime) -> None:
        """Give claimed messages back untried: they are due at ``until``, and nothing counts as an attempt."""
        held = {(message.shard, message.message_id): until for message in messages}
        async with self._database.begin() as connection:
            await store.postpone(connection, held, counted=True)

    async def _keep_handed(self, batch: Sequence[tuple[Message, str]]) -> Sequence[None]:
        rows = [(message.shard, message.message_id, carrier) for message, carrier in batch]
        async with self._database.begin() as connection:
            await store.hand(connection, rows)
        return [None] * len(batch)

    async def _keep_attempts(self, batch: Sequence[Attempt]) -> Sequence[None]:
        now = datetime.now(UTC)
        names = [
            Name(
                _name_shard(one.carrier, one.carrier_id),
                one.carrier,
                one.carrier_id,
                one.message.shard,
                one.message.message_id,
                one.state,
                one.error,
                None,
                now,
            )
            for one in batch
            if one.carrier is not None and one.carrier_id
        ]
        events = [
            Event(one.message.shard, one.message.message_id, new_id(), one.state, one.carrier, one.error, now)
            for one in batch
        ]
        async with self._database.begin() as connection:
            waiting = await store.name_messages(connection, names) if names else []
            await store.keep_outcomes(connection, [_outcome(one, now) for one in batch])
            reported = [row for row in waiting if DeliveryState(row.state).rank > DeliveryState.SENT.rank]
            heard = [(row.message_shard, row.message_id, DeliveryState(row.state), row.error) for row in reported]
            await store.keep_reports(connection, [], heard)
            events += [
                Event(
                    row.message_shard, row.message_id, new_id(), DeliveryState(row.state), row.carrier, row.error, now
                )
                for row in reported
            ]
            await store.keep_history(connection, events)
        return [None] * len(batch)

    async def _keep_reports(self, batch: Sequence[Reported]) -> Sequence[bool]:
        now = datetime.now(UTC)
        found = [False] * len(batch)
        left = list(range(len(batch)))
        async with self._database.begin() as connection:
            # A name that becomes known between the look and the keeping is found by the second look.
            for _ in range(2):
                known = await self._apply(connection, [batch[place] for place in left], now)
                for place, matched in zip(left, known, strict=True):
                    found[place] = matched
                left = [place for place in left if not found[place]]
                if not left:
                    break
                waiting = await store.keep_waiting(
                    connection, [name for place in left for name in _waiting(batch[place], now)]
                )
                left = [
                    place
                    for place in left
                    if any((batch[place].carrier, one) not in waiting for one in batch[place].carrier_ids)
                ]
                if not left:
                    break
        return found

    async def _apply(self, connection: AsyncConnection, reports: Sequence[Reported], now: datetime) -> list[bool]:
        """Raise what is known. Whether each report found its message."""
        spelled = sorted(
            {(_name_shard(one.carrier, name), one.carrier, name) for one in reports for name in one.carrier_ids}
        )
        rows = {(row.carrier, row.carrier_id): row for row in await store.look_up(connection, spelled)}
        named, heard, events, matched = [], [], [], []
        for one in reports:
            row = next((rows[one.carrier, name] for name in one.carrier_ids if (one.carrier, name) in rows), None)
            matched.append(row is not None)
            if row is None or not forward(DeliveryState(row.state), one.state):
                continue
            named.append((row.shard, row.carrier, row.carrier_id, one.state, one.error))
            heard.append((row.message_shard, row.message_id, one.state, one.error))
            events.append(Event(row.message_shard, row.message_id, new_id(), one.state, one.carrier, one.error, now))
        await store.keep_reports(connection, named, heard)
        await store.keep_history(connection, events)
        return matched


def _waiting(report: Reported, now: datetime) -> list[Name]:
    own = report.carrier_ids[0]
    return [
        Name(_name_shard(report.carrier, name), report.carrier, name, None, None, report.state, report.error, own, now)
        for name in report.carrier_ids
    ]


def _outcome(one: Attempt, now: datetime) -> Outcome:
    gone = one.state is not DeliveryState.QUEUED and one.state is not DeliveryState.FAILED
    unsent = OutboxState.PARKED if one.retry_at is None else OutboxState.DUE
    state = OutboxState.SENT if gone else unsent
    return Outcome(
        one.message.shard,
        one.message.message_id,
        state,
        due_at=one.retry_at,
        sent_at=now if gone else None,
        handed_to=one.carrier if one.unsure else None,
        # A refusal is final only when nobody tries again.
        delivery=DeliveryState.QUEUED if state is OutboxState.DUE else one.state,
        carrier=one.carrier,
        error=one.error,
    )
