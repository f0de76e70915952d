"""The alarm on wrong voucher numbers over all lines."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.events.alarms import Alarms
from engine.guard.service import watch_vouchers
from engine.notices.rules import Priority
from engine.storage.database import open_database
from runtime.metrics import Metrics


@pytest.fixture
async def databases(database_url):
    """Two processes' worth of connections."""
    opened = [open_database(database_url, connections=4) for _ in range(2)]
    yield opened
    for one in opened:
        await one.dispose()


def saw(owner, tries, ago="0 minutes", kind="wrong_voucher"):
    owner.execute("INSERT INTO guard_event VALUES (1, %s, %s, %s, now() - %s::interval)", (uuid4(), kind, tries, ago))


def alarms(owner):
    return [row[0] for row in owner.execute("SELECT body FROM outbox WHERE topic = 'alarm.voucher_guessing'")]


async def test_fewer_wrong_numbers_than_the_limit_raise_nothing(databases, operator, owner):
    limit = operator.vouchers.alarm_tries
    saw(owner, limit - 1)
    saw(owner, limit, ago="6 minutes")
    saw(owner, limit, kind="something_else")
    await watch_vouchers(databases[0], operator, Alarms(databases[0], Metrics()))
    assert alarms(owner) == []


async def test_many_watchers_raise_one_alarm(databases, operator, owner):
    limit = operator.vouchers.alarm_tries
    saw(owner, limit - 1)
    saw(owner, 1, ago="4 minutes")
    alarming = [(database, operator, Alarms(database, Metrics())) for database in databases]
    await asyncio.gather(*(watch_vouchers(*one) for one in alarming * 4))
    assert alarms(owner) == [{"tries": limit, "minutes": 5}]
    published = owner.execute("SELECT body FROM event WHERE topic = 'alarm.raised'").fetchall()
    assert published == [({"alarm": "guard.voucher_guessing", "tries": limit, "minutes": 5},)]
    assert owner.execute("SELECT priority FROM outbox").fetchall() == [(Priority.URGENT,)]


async def test_guessing_that_goes_on_raises_the_next_alarm_in_the_next_window(databases, operator, owner):
    saw(owner, operator.vouchers.alarm_tries)
    watched = (databases[0], operator, Alarms(databases[0], Metrics()))
    await watch_vouchers(*watched)
    await watch_vouchers(*watched)
    assert len(alarms(owner)) == 1
    owner.execute("UPDATE guard_event SET seen_at = seen_at - interval '6 minutes' WHERE kind <> 'wrong_voucher'")
    await watch_vouchers(*watched)
    assert len(alarms(owner)) == 2
