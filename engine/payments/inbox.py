"""What providers post to us: kept before it is acted on, done once, whoever it comes from and however often.

A callback is verified and read by its gateway. Its events are stored under the provider's ids, the payments are found,
brought on and settled, and then the provider is answered. From the moment an event is stored it is done by somebody: by
whoever took it, or by the recovery loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from time import monotonic
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.payments import names, store
from engine.payments.events import Events
from engine.payments.gateways import Gateways
from engine.payments.keeping import Arrival, Arrived, Keeper, by_item, numbered
from engine.payments.names import Locator
from engine.payments.owners import PATH, REFERENCE, Taken, locators_of
from engine.payments.progress import Progress
from engine.payments.sealing import seal_event, unseal_event
from engine.payments.store import Connection, Heard, Waiting
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import BadCallback, CallbackRequest, Event
from engine.storage.sharding import shard_of
from engine.words import BadNumber, EngineUnavailable, LineStatus, UnknownLine
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)

#: Seconds after which a provider is answered although its event is not through: it is ours by then.
ANSWER_SECONDS = 5.0
#: Refused callbacks of one process that are stored as audit lines: a second, and at once. A flood is only counted.
REFUSALS_PER_SECOND, REFUSALS_AT_ONCE = 20.0, 200.0


class Reply(NamedTuple):
    """What the provider is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Inbox:
    """The callbacks of all gateways in this process."""

    def __init__(
        self,
        database: AsyncEngine,
        keyring: Keyring,
        accounts: Accounts,
        gateways: Gateways,
        *,
        events: Events,
        progress: Progress,
    ) -> None:
        self._keyring = keyring
        self._accounts = accounts
        self._gateways = gateways
        self._events = events
        self._progress = progress
        # Found by its labels once: it is counted for every callback.
        self._came_to = cache(gateways.metrics.gateway_callbacks.labels)
        self._keeper = Keeper(database, events, progress)
        self._finder = Writer[dict[int, Locator], dict[int, Stored]](database, self._find)
        self._under_way: set[asyncio.Task[str]] = set()
        self._refusals, self._refused_at = REFUSALS_AT_ONCE, monotonic()

    async def close(self) -> None:
        """Finish what was taken."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._keeper.close()
        await self._finder.close()

    # -- taking ---

    async def take(self, name: str, request: CallbackRequest) -> Reply:
        """Take a callback of the gateway ``name``, and say what it is answered."""
        gateway = self._gateways.get(name)
        if gateway is None:
            return _problem(404, "no such gateway")
        try:
            callback = gateway.read_callback(request)
        except BadCallback as error:
            return await self._refuse(name, request, error)
        if callback.shared_path:
            request = msgspec.structs.replace(request, path_secret="")
        answer = Reply(callback.status, callback.body, callback.content_type)
        try:
            if callback.refusal is not None:
                known = [await self._may_pay(event) for event in callback.events]
                return answer if all(known) else answer._replace(body=callback.refusal)
            if request.path_secret and any(map(_by_path_alone, callback.events)):
                path = {PATH: names.by_path(request.path_secret)}
                if not await self._finder(path):
                    # Anybody can post this: it is kept no more than any other refusal.
                    return await self._refuse(name, request, BadCallback("path: no payment's", 404))
            arrivals = [self._arrival(name, event, request) for event in callback.events]
            if len(arrivals) == 1:
                arrived = [await self._keeper.keep(arrivals[0])]
            else:
                arrived = await asyncio.gather(*(self._keeper.keep(one) for one in arrivals))
        except EngineUnavailable:
            self._came_to(name, "unavailable").inc()
            return _problem(503, "try again")
        if not all(one.same for one in arrived):
            return await self._refuse(name, request, BadCallback("event: seen before with another content", 409))
        for outcome in await self._outcomes(arrivals, arrived):
            self._came_to(name, outcome).inc()
        return answer

    async def _outcomes(self, arrivals: Sequence[Arrival], arrived: Sequence[Arrived]) -> list[str]:
        """How far the events of one callback come before it has to be answered."""
        if len(arrivals) == 1 and arrived[0].stepped is not None:
            # All that is left is the door, which goes on by itself; if not, the recovery loop does.
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return [await self._work(arrivals[0], arrived[0])]
            except TimeoutError:
                return ["waiting"]
        tasks = [asyncio.create_task(self._work(arrival, one)) for arrival, one in zip(arrivals, arrived, strict=True)]
        self._under_way.update(tasks)
        for task in tasks:
            task.add_done_callback(self._under_way.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=ANSWER_SECONDS)
        return [task.result() if task.done() else "waiting" for task in tasks]

    def _arrival(self, name: str, event: Event, request: CallbackRequest) -> Arrival:
        locators = locators_of(name, event)
        body, sealed = seal_event(self._keyring, event)
        if request.path_secret:
            locators[PATH] = names.by_path(request.path_secret)
            body["path"] = locators[PATH].digest.hex()
        # Whoever makes an event up on a path of their own must not take the place of the true one.
        own = f"|{body['path']}" if _by_path_alone(event) and "path" in body else ""
        digest = names.event_digest(name, event.event_id + own)
        said = msgspec.structs.replace(event, outcome=msgspec.structs.replace(event.outcome, at=None))
        # The current key's comes first.
        hashes = [self._payload_hash(msgspec.json.encode(said), key_id) for key_id in self._keyring.ids]
        now = datetime.now(UTC)
        heard = Heard(
            shard=shard_of(digest),
            digest=digest,
            gateway=name,
            event_id=event.event_id,
            payload_hash=hashes[0],
            body=msgspec.json.encode(body).decode(),
            sealed=sealed,
            received_at=now,
            next_check_at=now + self._gateways.lease,
            done_at=None,
            refused=None,
        )
        return Arrival(heard, locators, event, tuple(hashes[1:]))

    def _payload_hash(self, told: bytes, key_id: int) -> bytes:
        return self._keyring.digest("gateway-event", told, key_id)[:16]

    async def _work(self, arrival: Arrival, arrived: Arrived) -> str:
        if arrived.done or arrival.taken is None:
            return "again"
        return await self._events.work(arrival.taken, arrived.found, stepped=arrived.stepped)

    async def take_statement(self, name: str, event: Event) -> str:
        """Do what a settlement file of the gateway ``name`` says of one payment, once, as if it had called to say so.

        Money for nobody that is served stays where it is: ``account``. Returns how far it came: ``done``, ``again``,
        ``waiting`` (the recovery loop goes on), ``refused``. Raises ``EngineUnavailable``.
        """
        if event.payment_id is None and not await self._serves(event.account_number):
            return "account"
        given = CallbackRequest(path_secret="", headers={}, body=b"", remote="", received_at=datetime.now(UTC))
        arrival = self._arrival(name, event, given)
        arrived = await self._keeper.keep(arrival)
        if not arrived.same:
            return "conflict"
        return await self._work(arrival, arrived)

    async def resume(self, waiting: Waiting) -> str:
        """Do an event whose taker is gone."""
        event = unseal_event(self._keyring, waiting.body or {}, waiting.sealed)
        path = str((waiting.body or {}).get("path") or "")
        locators = locators_of(waiting.gateway, event)
        if path:
            locators[PATH] = Locator(bytes.fromhex(path))
        place = (waiting.shard, waiting.digest)
        taken = Taken(waiting.gateway, event, place, waiting.received_at, on_path=bool(path))
        return await self._events.work(taken, await self._finder(locators))

    async def _find(self, connection: Connection, batch: Sequence[dict[int, Locator]]) -> list[dict[int, Stored]]:
        located = await store.locate(connection, numbered(batch))
        return by_item(len(batch), located)

    async def _refuse(self, name: str, request: CallbackRequest, error: BadCallback) -> Reply:
        """No effect, and a line in the audit trail."""
        self._came_to(name, "refused").inc()
        log.warning("callback_refused", gateway=name, status=error.status, reason=str(error))
        if self._may_store_refusal():
            digest = self._payload_hash(request.body[:100_000], self._keyring.current)
            event_id = f"refused:{digest.hex()}"
            key = names.event_digest(name, event_id)
            at = request.received_at
            line = Heard(shard_of(key), key, name, event_id, digest, None, None, at, None, at, str(error))
            try:
                await self._keeper.keep(Arrival(line, {}))
            except EngineUnavailable:
                return _problem(503, "try again")
        return _problem(error.status, str(error))

    def _may_store_refusal(self) -> bool:
        now = monotonic()
        self._refusals = min(REFUSALS_AT_ONCE, self._refusals + (now - self._refused_at) * REFUSALS_PER_SECOND)
        self._refused_at = now
        if self._refusals < 1:
            return False
        self._refusals -= 1
        return True

    async def _may_pay(self, event: Event) -> bool:
        """Whether a payment that its payer is about to make has somebody to go to; a till's names no account."""
        return not event.account_number or await self._serves(event.account_number)

    async def _serves(self, account_number: str | None) -> bool:
        """Whether what a payer typed as the account can be paid for."""
        if account_number is None:
            return False
        if await self._finder({REFERENCE: names.by_reference(account_number)}):
            return True
        try:
            line = await self._accounts.subscriber(account_number)
        except (BadNumber, UnknownLine):
            return False
        return line.status not in (LineStatus.TERMINATED, LineStatus.BARRED)


def _by_path_alone(event: Event) -> bool:
    """Whether nothing but the path that it came on says that an event is true and whose it is."""
    return event.ask_status and event.payment_id is None and event.account_number is None


def _problem(status: int, reason: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error": reason}))
