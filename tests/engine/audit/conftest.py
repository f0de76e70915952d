"""An installation whose history has been sealed, and somebody who owns the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.audit.rules import Signer
from engine.audit.service import Chain, Trail
from engine.audit.verifying import Verifier, read_outside
from engine.storage.database import open_database
from engine.storage.sharding import new_id
from engine.words import Charge, Purchase, Unit
from tests.engine.shop import asking, open_line


@pytest.fixture
async def database(database_url):
    opened = open_database(database_url, connections=4)
    yield opened
    await opened.dispose()


@pytest.fixture
def signer(keyring):
    return Signer(keyring)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def chain(database, signer, folder):
    return Chain(database, signer, folder)


@pytest.fixture
def trail(database):
    return Trail(database)


@pytest.fixture
def verified(database, signer, folder):
    """Everything that is found wrong: (what, shard, seq, row)."""

    async def found(*, export=True, since=None):
        keys = signer.public_keys()
        outside = read_outside(folder, keys, since) if export else None
        return [one async for one in Verifier(database, keys, late=timedelta()).verify(since, outside)]

    return found


@pytest.fixture
async def history(engine, trail, chain, owner):
    """Operations of several lines, something that staff did, a payment's step; sealed, and nothing waits."""
    lines = [await open_line(engine, money=10_000) for _ in range(3)]
    for line in lines:
        assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=700))).ok
    product = engine.products()[0]
    assert (await engine.post(asking(Purchase, lines[0], product=product.code, price=product.price))).ok
    await trail.record("line.status", by="amina", why="asked for by +254712000001", account=lines[0].account)
    await trail.record("doctor.freeze", by="amina", why="weekly")
    owner.execute(
        "INSERT INTO payment_event (shard, account_id, payment_id, event_id, state, what, body, at)"
        " VALUES (%s, %s, %s, %s, 'captured', 'callback', '{\"amount\": 5000}', now())",
        (*lines[0].account, new_id(), new_id()),
    )
    assert await chain.seal() == 10
    return lines
