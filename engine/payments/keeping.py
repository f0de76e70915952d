"""Storing what providers say: each event once, and in the same commit what can be believed as it is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments import store
from engine.payments.events import Events
from engine.payments.names import Locator
from engine.payments.owners import ID, PATH, REF, STATUS_REF, Taken
from engine.payments.progress import Progress
from engine.payments.steps import Step, decided, touches
from engine.payments.store import Connection, Heard, Key
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import Event


class Arrival(NamedTuple):
    """An event on its way into the inbox, with what its payment may be found by."""

    heard: Heard
    locators: dict[int, Locator]
    #: None of what was refused
    event: Event | None = None
    #: its ``payload_hash`` as older master keys made it
    older: tuple[bytes, ...] = ()

    @property
    def place(self) -> tuple[int, bytes]:
        """Where the inbox has it."""
        return self.heard.shard, self.heard.digest

    @property
    def taken(self) -> Taken | None:
        """As it is done once it is stored."""
        heard, event = self.heard, self.event
        if event is None:
            return None
        return Taken(heard.gateway, event, self.place, heard.received_at, PATH in self.locators)


class Arrived(NamedTuple):
    """How the inbox has it: the same as now, done before, the payments found, and its own if it was stepped on."""

    same: bool
    done: bool
    found: dict[int, Stored]
    stepped: Stored | None = None


class Keeper:
    """Stores the events of this process. Concurrent ones share their transactions."""

    def __init__(self, database: AsyncEngine, events: Events, progress: Progress) -> None:
        self._events = events
        self._progress = progress
        self._writer = Writer[Arrival, Arrived](
            database, self._keep, touches=lambda one: (one.heard.digest,), kept=True
        )

    async def close(self) -> None:
        """Finish what is under way."""
        await self._writer.close()

    async def keep(self, arrival: Arrival) -> Arrived:
        """Store one. Raises ``EngineUnavailable``."""
        return await self._writer(arrival)

    async def _keep(self, connection: Connection, batch: Sequence[Arrival]) -> list[Arrived]:
        """Store a batch, and take in the same commit the steps of those that can be believed as they are."""
        now = datetime.now(UTC)
        # A payment that somebody else is at must not hold up the others, nor keep them from being stored.
        locking = [locator for arrival in batch if (locator := _held_by(arrival)) is not None]
        wanted = numbered([one.locators for one in batch])
        inspected = await store.inspect(connection, [one.heard for one in batch], wanted, locking)
        arrived = []
        for place, (one, mine) in enumerate(zip(batch, by_item(len(batch), inspected.located), strict=True)):
            kept, done = inspected.seen.get(place, (one.heard.payload_hash, False))
            arrived.append(Arrived(kept in (one.heard.payload_hash, *one.older), done, mine))
        steps = self._steps(batch, arrived, inspected.locked)
        before = [inspected.locked[step.key] for step in steps.values()]
        named_before = [arrived[place].found.get(REF) for place in steps]
        owns = [
            holder is None or holder.key == step.key for holder, step in zip(named_before, steps.values(), strict=True)
        ]
        after, turns = decided(list(steps.values()), before, owns, now)
        stepped = dict(zip(steps, after, strict=True))
        new = [
            # Done with this very commit: nothing personal has to be kept for it.
            one.heard._replace(sealed=None, done_at=now) if place in stepped else one.heard
            for place, one in enumerate(batch)
            if place not in inspected.seen
        ]
        turns.finished[:] = [(*batch[place].place, None) for place in stepped if place in inspected.seen]
        named = [
            (step.name, step.key)
            for holder, step in zip(named_before, steps.values(), strict=True)
            if holder is None and step.name is not None
        ]
        try:
            await store.keep_heard(connection, new, named, turns, now)
        except psycopg.errors.UniqueViolation as error:
            raise psycopg.OperationalError("somebody else has heard the same meanwhile") from error
        self._progress.count(before, after, turns)
        return [one._replace(stepped=stepped.get(place)) for place, one in enumerate(arrived)]

    def _steps(
        self, batch: Sequence[Arrival], arrived: Sequence[Arrived], locked: Mapping[Key, Stored]
    ) -> dict[int, Step]:
        """What can be done in the commit that stores it, by place: one step of a payment, the others come after."""
        steps: dict[int, Step] = {}
        touched: set[Hashable] = set()
        for place, (arrival, one) in enumerate(zip(batch, arrived, strict=True)):
            taken = arrival.taken
            if taken is None or one.done or not one.same:
                continue
            step = self._events.step_of(taken, one.found)
            if step is None or step.key not in locked:
                continue
            things = touches(step)
            if touched.isdisjoint(things):
                steps[place] = step
                touched.update(things)
        return steps


def _held_by(arrival: Arrival) -> Locator | None:
    """What the payment of an event that needs no asking is locked by; None: it is not stepped on at once."""
    if arrival.event is None or arrival.event.ask_status:
        return None
    return next((arrival.locators[rank] for rank in (PATH, ID, REF, STATUS_REF) if rank in arrival.locators), None)


def numbered(items: Sequence[dict[int, Locator]]) -> list[tuple[int, Locator]]:
    """The locators of several items in one list, each with a number that says whose and which one it is."""
    return [(place * 8 + rank, one) for place, locators in enumerate(items) for rank, one in locators.items()]


def by_item(number: int, located: Sequence[tuple[int, Stored]]) -> list[dict[int, Stored]]:
    """What was found under ``numbered`` locators, apart again: for each item, by which of its locators."""
    found: list[dict[int, Stored]] = [{} for _ in range(number)]
    for place, stored in located:
        found[place // 8][place % 8] = stored
    return found
