"""Who hears of what happens: subscriptions, and the queue of what is on its way to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.audit.service import Trail
from engine.events import store
from engine.events.rules import Retries, check_callback, notification, topics_of
from engine.events.tables import SendState, event_delivery, subscription
from engine.storage.sharding import new_id
from runtime.keyring import Keyring
from settings import WebhookSettings

#: characters of a secret: 128 bits, as short words would make them
SECRET_LEAST, SECRET_MOST = 24, 256
#: how long it is remembered that something was delivered
KEPT = timedelta(days=30)
#: the purpose of the key that secrets are sealed under
SECRETS = "webhook-secret"


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is told."""

    subscription_id: UUID
    callback: str
    #: the filter as it was given
    query: str
    #: what it means; empty: all
    topics: tuple[str, ...]
    made_by: str
    made_at: datetime


class Delivery(NamedTuple):
    """One event claimed for one subscriber. ``body`` is what is sent, the same bytes each time."""

    shard: int
    account_id: UUID
    subscription_id: UUID
    event_id: UUID
    #: this one included
    attempts: int
    made_at: datetime
    created_at: datetime
    body: bytes


class Target(NamedTuple):
    """Where a subscription's deliveries go, and what signs them."""

    subscription_id: UUID
    callback: str
    #: None: its master key is gone
    secret: str | None


class ParkedEvent(NamedTuple):
    """A delivery that was given up."""

    subscription_id: UUID
    event_id: UUID
    attempts: int
    error: str | None
    made_at: datetime


class Events:
    """The subscriptions of one installation and their queues."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, trail: Trail, allowed: WebhookSettings) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._keyring = keyring
        self._trail = trail
        self._allowed = allowed
        self._followed: dict[str, UUID] = {}

    # -- subscriptions ------------------------------------------------------------------------------------------------

    async def subscribe(
        self, callback: str, *, query: str = "", topics: Iterable[str] = (), secret: str, by: str
    ) -> Subscription:
        """Let ``callback`` hear of every event from now on that ``query`` (``eventType=…``) and ``topics`` mean.

        ``secret`` signs what is sent; both sides keep it. Raises ``ValueError`` that names the field.
        """
        check_callback(callback, self._allowed)
        wanted = topics_of(query, topics)
        if not SECRET_LEAST <= len(secret) <= SECRET_MOST or not secret.isascii() or not secret.isprintable():
            raise ValueError(f"secret: {SECRET_LEAST} to {SECRET_MOST} printable ASCII characters are meant")
        made = Subscription(
            subscription_id=new_id(), callback=callback, query=query, topics=wanted, made_by=by, made_at=_now()
        )
        row = msgspec.structs.asdict(made) | {"topics": list(wanted), "key_id": self._keyring.current}
        row["sealed_secret"] = self._keyring.seal(SECRETS, secret.encode(), made.subscription_id.bytes)
        detail = {"subscription": str(made.subscription_id), "topics": list(wanted)}
        async with self._database.begin() as connection:
            await self._trail.record("events.subscribe", by=by, why="hub", detail=detail, connection=connection)
            await connection.execute(sa.insert(subscription).values(row))
        return made

    async def follow(self, name: str, topics: Iterable[str]) -> UUID:
        """A queue for a part of this installation that acts on events: made once, found again by its ``name``.

        Nobody is called: whoever follows takes what is due with ``claim`` and says what came of it.
        """
        known = self._followed.get(name)
        if known is not None:
            return known
        queue = uuid5(NAMESPACE_OID, f"follow|{name}")
        row = {
            "subscription_id": queue,
            "callback": f"{store.INTERNAL}{name}",
            "query": "",
            "topics": list(topics_of("", topics)),
            "key_id": self._keyring.current,
            "sealed_secret": b"",
            "made_by": "rasid",
            "made_at": _now(),
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(subscription).values(row).on_conflict_do_nothing())
        self._followed[name] = queue
        return queue

    async def unsubscribe(self, subscription_id: UUID, *, by: str, why: str = "hub") -> None:
        """Tell it nothing more; what is on its way is dropped. Raises ``LookupError`` if there is none."""
        ended = (
            sa.update(subscription)
            .where(subscription.c.subscription_id == subscription_id, *store.of_others())
            .values(ended_at=_now())
            .returning(subscription.c.subscription_id)
        )
        async with self._database.begin() as connection:
            if (await connection.execute(ended)).first() is None:
                raise LookupError(f"no subscription {subscription_id}")
            await store.drop_due(connection, subscription_id, _now())
            detail = {"subscription": str(subscription_id)}
            await self._trail.record("events.unsubscribe", by=by, why=why, detail=detail, connection=connection)

    async def list(self) -> Sequence[Subscription]:
        """Those that have not ended, oldest first."""
        query = sa.select(subscription).where(*store.of_others()).order_by(subscription.c.made_at)
        async with self._reads.connect() as connection:
            return [_subscription(row) for row in await connection.execute(query)]

    async def find(self, subscription_id: UUID) -> Subscription:
        """One that has not ended. Raises ``LookupError``."""
        query = sa.select(subscription).where(subscription.c.subscription_id == subscription_id, *store.of_others())
        async with self._reads.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise LookupError(f"no subscription {subscription_id}")
        return _subscription(row)

    # -- the queue ----------------------------------------------------------------------------------------------------

    async def fan_out(self, limit: int) -> int:
        """Give new events to the queues of those who want them; returns how many events."""
        async with self._database.begin() as connection:
            return await store.fan_out(connection, limit, _now())

    async def due(self) -> Sequence[Target]:
        """To whom something is due."""
        async with self._reads.connect() as connection:
            rows = await store.due_subscriptions(connection, _now())
        return [Target(row.subscription_id, row.callback, self._secret(row)) for row in rows]

    async def claim(self, subscription_id: UUID, limit: int, lease: timedelta) -> Sequence[Delivery]:
        """Take what is due to one subscriber, of each account the first that is not done.

        A claim is a later due time: a worker that dies gives its rows back by doing nothing.
        """
        async with self._database.begin() as connection:
            rows = await store.claim(connection, subscription_id, limit, _now(), lease)
        return [
            Delivery(
                *(row.shard, row.account_id, row.subscription_id, row.event_id, row.attempts, row.made_at),
                row.created_at,
                notification(
                    row.event_id,
                    row.created_at,
                    row.topic,
                    row.body,
                    account_id=row.account_id,
                    line_id=row.line_id,
                    operation_key=row.operation_key,
                ),
            )
            for row in sorted(rows, key=lambda row: row.event_id)
        ]

    async def behind(self, one: Delivery) -> Sequence[tuple[UUID | None, Mapping[str, Any]]]:
        """What waits behind it, the first hundred: line and what the event says. Later state may make it needless."""
        asked = {"shard": one.shard, "account": one.account_id, "event": one.event_id}
        asked |= {"subscription": one.subscription_id}
        async with self._reads.connect() as connection:
            return [(line, body) for line, body in await connection.execute(sa.text(store.BEHIND), asked)]

    async def delivered(self, *taken: Delivery) -> None:
        """Their subscriber has them."""
        async with self._database.begin() as connection:
            await store.keep_sent(connection, [one[:4] for one in taken], _now())

    async def failed(self, one: Delivery, error: str, retries: Retries) -> SendState:
        """Try again later, or give it up once its time is over. Says which."""
        now = _now()
        due_at = retries.again(one.attempts, one.made_at, now)
        state = SendState.PARKED if due_at is None else SendState.DUE
        async with self._database.begin() as connection:
            await store.keep(connection, one[:4], state, due_at=due_at, error=error, now=now)
        return state

    async def parked(self, limit: int = 100) -> Sequence[ParkedEvent]:
        """What was given up, the newest first."""
        columns = (event_delivery.c[name] for name in ParkedEvent._fields)
        query = sa.select(*columns).where(event_delivery.c.state == SendState.PARKED)
        query = query.order_by(event_delivery.c.made_at.desc()).limit(limit)
        async with self._reads.connect() as connection:
            return [ParkedEvent(*row) for row in await connection.execute(query)]

    async def resend(self, subscription_id: UUID, event_ids: Sequence[UUID] = (), *, by: str, why: str) -> int:
        """Let what was given up go out again, all of it or the events named; returns how many deliveries."""
        detail = {"subscription": str(subscription_id), "events": [str(one) for one in event_ids]}
        async with self._database.begin() as connection:
            await self._trail.record("events.resend", by=by, why=why, detail=detail, connection=connection)
            return await store.again(connection, subscription_id, event_ids, _now())

    async def tidy(self, limit: int = 10_000) -> int:
        """Forget what was delivered long ago; returns how many rows. The events stay."""
        async with self._database.begin() as connection:
            return await store.forget_done(connection, _now() - KEPT, limit)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _secret(self, row: Row[tuple[object, ...]]) -> str | None:
        try:
            return self._keyring.unseal(SECRETS, row.sealed_secret, row.subscription_id.bytes, row.key_id).decode()
        except (InvalidTag, KeyError):
            # The others are served; whoever looks at what is parked sees why this one is not.
            return None


def _subscription(row: Row[tuple[object, ...]]) -> Subscription:
    values = {name: getattr(row, name) for name in Subscription.__struct_fields__}
    return Subscription(**values | {"topics": tuple(row.topics)})


def _now() -> datetime:
    return datetime.now(UTC)
