"""The layers before payments at work: facts for a batch at once, one pure decision each, kept for disputes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from redis.asyncio import Redis

from engine.guard import payment_store
from engine.guard.payment_rules import PAYMENT_LAYERS, PaymentCase, Ruling, combined
from engine.guard.payment_store import Connection, Known
from engine.guard.velocity import Seen, Windows
from engine.storage.sharding import new_id, shard_of
from engine.words import AccountRef, LineStatus, ListKind, PaymentMethod
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator


class Intent(NamedTuple):
    """A payment that somebody wants to make."""

    account: AccountRef
    line_id: UUID | None
    payment_id: UUID
    method: PaymentMethod
    #: minor units
    amount: int
    source: str
    #: the number (E.164) or token that is to pay; nobody, where the money has come by itself
    payer: str = ""
    #: when the saved card ends that is to pay
    card_ends: datetime | None = None
    own_number: bool = True
    #: what the person pays from, as its channel knows it
    device: str = ""
    #: False where the money has come: nothing can be refused any more
    asks: bool = True


class Looked(NamedTuple):
    """An intent, what the books know of it, and the ruling; None where there was nothing to decide."""

    known: Known | None
    ruling: Ruling | None


class PaymentGuard:
    """Decides on payments before anybody is asked for money."""

    def __init__(self, operator: Operator, keyring: Keyring, metrics: Metrics, redis: Redis | None) -> None:
        """``redis`` holds the velocity windows; without it none are counted (tools, which ask nobody for money)."""
        self._operator = operator
        self._keyring = keyring
        self._windows = Windows(redis, operator.fraud)
        self._zone = ZoneInfo(operator.timezone)
        self._meters = {
            name: metrics.validation_seconds.labels(f"payment_{name}") for name in (*PAYMENT_LAYERS, "facts")
        }

    async def decide(self, connection: Connection, batch: Sequence[Intent]) -> list[Looked]:
        """Rule on each intent and write the rulings down, uncommitted. What is stored or has come is not ruled on."""
        started = perf_counter()
        now = datetime.now(UTC)
        asking = [one for one in batch if one.asks]
        digests = {one.payment_id: self._digests(one) for one in asking}
        # Before the first statement: no transaction is open while Redis is waited for.
        counted = await self._windows.seen([Seen(payment_id, own) for payment_id, own in digests.items()], now)
        found, listed = await payment_store.known(
            connection,
            [(*one.account, one.line_id, one.payment_id, one.method.value) for one in batch],
            [
                (place, shard_of(digest), digest)
                for place, one in enumerate(batch)
                if one.asks
                for digest in self._looked_for(one, digests[one.payment_id])
            ],
            now=now,
            day=now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0),
        )
        by_payment = {one.payment_id: counts for one, counts in zip(asking, counted, strict=True)}
        places = [
            place
            for place, (one, facts) in enumerate(zip(batch, found, strict=True))
            if one.asks and not (facts is not None and facts.stored)
        ]
        cases = []
        for place in places:
            case = _case(batch[place], found[place], self._operator, now)
            case.windows, case.listed = by_payment[batch[place].payment_id], frozenset(listed[place])
            cases.append(case)
        self._meters["facts"].observe(perf_counter() - started)
        rulings = self._through_layers(cases)
        rows = [
            self._row(batch[place], case, ruling, digests[batch[place].payment_id].get(ListKind.PAYER.value))
            for place, case, ruling in zip(places, cases, rulings, strict=True)
            if found[place] is not None
        ]
        if rows:
            await payment_store.keep(connection, rows)
        by_place = dict(zip(places, rulings, strict=True))
        return [Looked(facts, by_place.get(place)) for place, facts in enumerate(found)]

    def _through_layers(self, cases: Sequence[PaymentCase]) -> list[Ruling]:
        rulings = [Ruling()] * len(cases)
        for name, layer in PAYMENT_LAYERS.items():
            started = perf_counter()
            rulings = [combined(ruling, name, layer(case)) for ruling, case in zip(rulings, cases, strict=True)]
            self._meters[name].observe(perf_counter() - started)
        return rulings

    def _digests(self, one: Intent, key_id: int | None = None) -> dict[str, bytes]:
        """What an attempt counts for, under the current key unless told otherwise."""
        digests = {kind.value: list_digest(self._keyring, kind, who, key_id) for kind, who in _who(one)}
        digests[ListKind.SUBSCRIBER.value] = line_digest(self._keyring, one.account, one.line_id, key_id)
        return digests

    def _looked_for(self, one: Intent, current: Mapping[str, bytes]) -> list[bytes]:
        """What may stand on a list, under every key in force."""
        older = [self._digests(one, key_id) for key_id in self._keyring.ids if key_id != self._keyring.current]
        return [digest for digests in (current, *older) for digest in digests.values()]

    @staticmethod
    def _row(one: Intent, case: PaymentCase, ruling: Ruling, payer: bytes | None) -> payment_store.Row:
        inputs = msgspec.json.encode(case.inputs()).decode()
        said = (ruling.verdict.value, ruling.layer, ruling.code, ruling.score, ruling.reasons, inputs, payer, case.now)
        return (*one.account, new_id(), one.payment_id, *said)


def _case(one: Intent, facts: Known | None, operator: Operator, now: datetime) -> PaymentCase:
    case = PaymentCase(
        method=one.method,
        amount=one.amount,
        operator=operator,
        now=now,
        source=one.source,
        status=None,
        card_ends=one.card_ends,
        own_number=one.own_number,
    )
    if facts is not None and facts.status is not None:
        case.status, case.postpaid = LineStatus(facts.status), facts.postpaid
        case.opened_at, case.sim_changed_at = facts.opened_at, facts.sim_changed_at
        case.balance, case.history = facts.balance, facts.history
    return case


def _who(one: Intent) -> list[tuple[ListKind, str]]:
    given = ((ListKind.PAYER, one.payer), (ListKind.DEVICE, one.device))
    return [(kind, who) for kind, who in given if who]


def list_digest(keyring: Keyring, kind: ListKind, who: str, key_id: int | None = None) -> bytes:
    """What somebody is found by on a list and in a window: equal for equal people, readable for nobody."""
    return keyring.digest("guard", f"{kind}|{who}".encode(), key_id)


def line_digest(keyring: Keyring, account: AccountRef, line_id: UUID | None, key_id: int | None = None) -> bytes:
    """The same of a line: by its id, since a number may go to another line."""
    return list_digest(keyring, ListKind.SUBSCRIBER, f"{account.account_id}|{line_id}", key_id)
