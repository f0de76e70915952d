"""A master key is retired: everything is sealed anew, found by the next key alone, and what cannot be is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyotp
import pytest
import sqlalchemy as sa

from engine.accounts.secrets import Address
from engine.accounts.tables import NumberKind
from engine.api import Engine, open_engine
from engine.events.service import SECRETS
from engine.keys import service
from engine.keys.service import Keys
from engine.keys.store import Kept
from engine.mediation.staging import Sealer as LineSealer
from engine.mediation.tables import usage_set_aside
from engine.reconciliation.staging import Sealer as AccountSealer
from engine.reconciliation.tables import discrepancy
from engine.words import Listed, ListKind, PinVerdict, Role, Subscriber
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import open_line, sell_vouchers
from tests.waiting import somebody_waits_for_a_lock

OLD, NEW = bytes(range(32)), b"n" * 32
BOTH, LATER = Keyring({1: OLD, 2: NEW}), Keyring({2: NEW})
IMSI, CHAT = "639020000000042", "998877665544"


@pytest.fixture
async def opened(database_url: str, operator: Operator) -> AsyncIterator[Any]:
    """Opens engines of the installation with other keys."""
    async with AsyncExitStack() as stack:

        async def open_one(keyring: Keyring) -> Engine:
            engine = await open_engine(database_url, operator, keyring)
            stack.push_async_callback(engine.close)
            return engine

        yield open_one


async def known(engine: Engine) -> Subscriber:
    """A line with a SIM and a chat."""
    line = await open_line(engine, imsi=IMSI, pin="2580")
    assert await engine.link_chat("telegram", CHAT, line.msisdn, await engine.link_code(line))
    return line


async def held(engine: Engine, keyring: Keyring = BOTH) -> dict[Kept, int]:
    return {one.what: one.rows for one in await Keys(engine._database, keyring).held() if one.key_id == 1}


async def written(engine: Engine, table: sa.Table, **values: Any) -> None:
    async with engine._database.begin() as connection:
        await connection.execute(table.insert().values(**values))


async def test_who_was_known_under_the_old_key_is_known_under_the_next_alone(engine: Engine, opened: Any) -> None:
    line = await known(engine)
    assert await Keys(engine._database, BOTH).renew() == 0
    later = await opened(LATER)
    assert (await later.subscriber(line.msisdn)).line_id == line.line_id
    assert await later.line_of(f"imsi-{IMSI}") == line.line
    assert await later.linked("telegram", CHAT) == line.msisdn
    assert (await later.accounts.reveal([line.line]))[line.line_id].msisdn == line.msisdn
    # Processes with both keys, which run meanwhile, find them too, and forget all of them.
    both = await opened(BOTH)
    await both.accounts.erase_person(line.account, by="test")
    async with engine._database.connect() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM directory")) == 0


async def test_secrets_that_a_master_key_sealed_itself_are_read_by_the_next(engine: Engine) -> None:
    keyring = Keyring({1: OLD})
    await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    told = await engine.events.subscribe("https://crm.example.com/hub", secret="s" * 40, by="test")
    await engine.events.follow("core", ("provisioning.changed",))
    file_id, case_id = uuid4(), uuid4()
    aside = LineSealer(keyring).seal({"msisdn": "+254712345001"}, file_id, 7)
    await written(
        engine, usage_set_aside, file_id=file_id, line=7, reason="unknown_line", detail="msisdn", sealed=aside
    )
    await written(engine, discrepancy, **case(case_id, AccountSealer(keyring).seal("0712345001", "SIX1")))
    await written(engine, discrepancy, **case(uuid4(), None))
    kept = {Kept.STAFF_CODE: 1, Kept.SUBSCRIPTION: 2, Kept.SET_ASIDE: 1, Kept.DISCREPANCY: 1, Kept.PASSWORD: 1}
    assert await held(engine) == kept
    looked: list[int] = []
    assert await Keys(engine._database, BOTH).renew(looked.append) == 0
    assert sum(looked) == 5
    assert await held(engine) == {Kept.PASSWORD: 1}
    async with engine._database.connect() as connection:
        rows = {row.callback: row for row in await connection.execute(sa.text("SELECT * FROM subscription"))}
        row = rows["https://crm.example.com/hub"]
        plain = LATER.unseal(SECRETS, row.sealed_secret, told.subscription_id.bytes, row.key_id)
        assert plain == b"s" * 40
        sealed = await connection.scalar(sa.select(usage_set_aside.c.sealed))
        assert LineSealer(LATER).unseal(sealed, file_id, 7) == {"msisdn": "+254712345001"}
        query = sa.select(discrepancy.c.sealed_account).where(discrepancy.c.discrepancy_id == case_id)
        assert AccountSealer(LATER).unseal(await connection.scalar(query), "SIX1") == "0712345001"


async def test_a_password_goes_over_to_the_next_key_when_it_is_typed(engine: Engine, opened: Any) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    both = await opened(BOTH)
    await Keys(engine._database, BOTH).renew()
    assert await both.staff.sign_in("alice", alice.password, pyotp.TOTP(alice.secret).now()) is not None
    assert await held(engine) == {}
    later = await opened(LATER)
    code = pyotp.TOTP(alice.secret).at(time.time() + 30)
    assert await later.staff.sign_in("alice", alice.password, code) is not None


async def test_what_cannot_be_sealed_anew_is_told_with_when_it_ends(engine: Engine, opened: Any) -> None:
    line = await known(engine)
    ends = datetime(2031, 5, 6, tzinfo=UTC)
    await sell_vouchers(engine, number=3, expires_at=ends)
    gone = datetime.now(UTC) + timedelta(days=2)
    await engine.lists.put(ListKind.DEVICE, "a1", Listed.BLOCK, by="amina", why="stolen", until=gone)
    keys = Keys(engine._database, BOTH)
    await keys.renew()
    found = {one.what: (one.rows, one.until) for one in await keys.held()}
    assert found == {Kept.VOUCHER: (3, ends), Kept.PIN: (1, None), Kept.GUARD_LIST: (1, gone)}
    both = await opened(BOTH)
    assert await both.check_pin(line, "2580") is PinVerdict.RIGHT
    assert Kept.PIN not in await held(engine)


async def test_stopped_in_the_middle_it_goes_on_and_done_it_does_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [await open_line(engine) for _ in range(3)]
    monkeypatch.setattr(service, "BATCH", 1)
    keys = Keys(engine._database, BOTH)

    def stop(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await keys.renew(stop)
    assert await held(engine) == {Kept.ACCOUNT: len(lines) - 1}
    looked: list[int] = []
    assert await keys.renew(looked.append) == 0
    assert looked == [1, 1]
    assert await keys.renew(looked.append) == 0
    assert looked == [1, 1] and await held(engine) == {}


async def test_what_cannot_be_read_stays_and_holds_nobody_up(engine: Engine, owner: psycopg.Connection[Any]) -> None:
    good, bad = await known(engine), await open_line(engine)
    owner.execute("UPDATE account SET wrapped_key = '\\x00' WHERE account_id = %s", [bad.account.account_id])
    assert await Keys(engine._database, BOTH).renew() == 1
    assert (await held(engine))[Kept.ACCOUNT] == 1
    left = owner.execute("SELECT account_id FROM account WHERE key_id = 2").fetchall()
    assert left == [(good.account.account_id,)]


async def test_a_chat_that_is_unlinked_while_its_account_is_renewed_is_forgotten(
    engine: Engine, opened: Any, database_url: str
) -> None:
    line, both = await known(engine), await opened(BOTH)
    name = f"telegram|{CHAT}"
    address = Address(BOTH, NumberKind.CHAT, name)
    with psycopg.connect(database_url) as renewing:
        renewing.execute("SELECT FROM account FOR NO KEY UPDATE")
        renewing.execute(
            "WITH gone AS (DELETE FROM directory WHERE kind = 'chat' RETURNING *) INSERT INTO directory"
            " SELECT %s, %s, kind, 2, owner_shard, account_id, line_id FROM gone",
            [address.shards[0], address.digests[0]],
        )
        unlinking = asyncio.create_task(both.unlink("telegram", CHAT))
        await somebody_waits_for_a_lock(database_url)
    assert await unlinking
    assert await both.linked("telegram", CHAT) is None
    assert await both.chats(line) == {}


async def test_sessions_of_access_servers_need_the_oldest_key(engine: Engine, owner: psycopg.Connection[Any]) -> None:
    line = await open_line(engine)
    owner.execute(
        "INSERT INTO session (shard, account_id, session_id, line_id, interface, name, node, notify, opened_at)"
        " VALUES (%s, %s, %s, %s, 'radius', 'x', '', '', now())",
        [*line.account, uuid4(), line.line_id],
    )
    await Keys(engine._database, BOTH).renew()
    assert await held(engine) == {Kept.RADIUS_SESSION: 1}


def case(case_id: UUID, sealed: bytes | None) -> dict[str, Any]:
    """A discrepancy as a run finds it."""
    now = datetime.now(UTC)
    return {
        "discrepancy_id": case_id,
        "gateway": "mpesa",
        "day": now.date(),
        "kind": "missing_here",
        "reason": "payment_unknown",
        "name": "SIX1",
        "paid": True,
        "stated": 100,
        "booked": 0,
        "exact": True,
        "sealed_account": sealed,
        "live": True,
        "counted": True,
        "state": "open",
        "run_id": uuid4(),
        "found_at": now,
        "changed_at": now,
    }
