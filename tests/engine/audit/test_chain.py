"""History is sealed whole and once, whatever clocks, crashes and other sealers do."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.audit.rules import Signer
from engine.audit.service import Chain
from engine.audit.verifying import Verifier, read_outside
from engine.storage.locks import AdvisoryLock
from engine.storage.sharding import new_id
from runtime.keyring import Keyring
from tests.engine.shop import credit


async def test_history_that_nobody_touched_is_found_whole(history, verified):
    assert await verified() == []
    assert await verified(export=False) == []
    assert await verified(since=datetime.now(UTC) - timedelta(hours=1)) == []


async def test_nothing_is_sealed_twice_and_chains_go_on(engine, history, chain, verified, owner):
    assert await chain.seal() == 0
    await credit(engine, history[0], 5)
    assert await chain.seal() == 1
    assert await chain.seal() == 0
    assert await verified() == []
    (longest,) = owner.execute("SELECT max(seq) FROM audit_root").fetchone()
    assert longest >= 2


async def test_a_row_that_was_committed_late_is_in_the_next_root(history, chain, database_url, owner, verified):
    """Its time is older than roots that were sealed while its transaction was still open."""
    account = history[0].account
    insert = (
        "INSERT INTO payment_event (shard, account_id, payment_id, event_id, state, what, body, at)"
        " VALUES (%s, %s, %s, %s, 'captured', 'callback', '{}', now() - interval '4 minutes')"
    )
    with psycopg.connect(database_url) as slow:
        slow.execute(insert, (*account, new_id(), new_id()))
        for _ in range(3):
            owner.execute(insert, (*account, new_id(), new_id()))
            assert await chain.seal() == 1
        slow.commit()
    assert await chain.seal() == 1
    assert await chain.seal() == 0
    assert await verified() == []


async def test_a_row_by_a_clock_that_is_hours_off_is_found_by_the_wide_run(history, chain, owner, verified):
    assert await chain.seal() == 0
    owner.execute(
        "INSERT INTO payment_event (shard, account_id, payment_id, event_id, state, what, body, at)"
        " VALUES (%s, %s, %s, %s, 'captured', 'callback', '{}', now() - interval '9 hours')",
        (*history[0].account, new_id(), new_id()),
    )
    assert await chain.seal() == 0
    assert {one.what for one in await verified()} == {"inserted"}
    assert await chain.seal(datetime.now(UTC) + timedelta(hours=2)) == 1
    assert await verified() == []


async def test_a_row_by_a_clock_that_is_ahead_is_sealed_at_once(history, chain, owner, verified):
    assert await chain.seal() == 0
    owner.execute(
        "INSERT INTO payment_event (shard, account_id, payment_id, event_id, state, what, body, at)"
        " VALUES (%s, %s, %s, %s, 'captured', 'callback', '{}', now() + interval '3 minutes')",
        (*history[0].account, new_id(), new_id()),
    )
    assert await chain.seal() == 1
    assert await chain.seal() == 0
    assert await verified() == []


async def test_one_process_seals_at_a_time(history, chain, database):
    async with database.connect() as other:
        await other.exec_driver_sql(f"SELECT pg_advisory_lock({AdvisoryLock.SEAL_HISTORY})")
        assert await chain.seal() is None
        await other.exec_driver_sql(f"SELECT pg_advisory_unlock({AdvisoryLock.SEAL_HISTORY})")
    assert await chain.seal() == 0


async def test_sealers_that_run_together_make_one_chain(  # noqa: PLR0917
    engine, history, database, signer, folder, verified
):
    chains = [Chain(database, signer, folder) for _ in range(2)]
    for _ in range(5):
        await credit(engine, history[0], 5)
        await asyncio.gather(*(one.seal() for one in chains))
    await chains[0].seal()
    assert await verified() == []


async def test_what_was_sealed_and_not_exported_is_exported_by_the_next_run(  # noqa: PLR0917
    engine, history, database, signer, folder, verified
):
    await credit(engine, history[0], 5)
    blocked = Chain(database, signer, folder / "roots-of-nobody" / "file")
    (folder / "roots-of-nobody").write_text("in the way")
    with pytest.raises(OSError):
        await blocked.seal()
    assert await Chain(database, signer, folder).seal() == 1
    assert await verified() == []


async def test_a_line_that_a_crash_cut_short_is_no_alarm(  # noqa: PLR0917
    engine, history, chain, folder, owner, verified
):
    path = max(folder.glob("roots-*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    owner.execute("UPDATE audit_exported SET seq = seq - 1 WHERE shard = %s", (json.loads(lines[-1])["root"]["shard"],))
    assert await chain.seal() == 0
    assert [one.what for one in await verified() if not one.notice] == []


async def test_after_a_restore_into_another_server_the_chain_goes_on(engine, history, chain, owner, verified):
    owner.execute("UPDATE audit_progress SET database = 'elsewhere/1', finished_xid = 4000000000")
    await credit(engine, history[0], 5)
    assert await chain.seal() == 1
    assert await chain.seal() == 0
    assert await verified() == []


async def test_a_new_master_key_signs_and_the_old_ones_roots_still_hold(engine, history, database, folder, keyring):
    both = Signer(Keyring({1: bytes(range(32)), 2: b"n" * 32}))
    await credit(engine, history[0], 5)
    assert await Chain(database, both, folder).seal() == 1
    keys = both.public_keys()
    outside = read_outside(folder, keys, None)
    assert [one async for one in Verifier(database, keys).verify(None, outside)] == []
    only_old = Signer(keyring).public_keys()
    found = [one async for one in Verifier(database, only_old).verify()]
    assert {one.what for one in found} >= {"root is signed by key 2, which is not among those given"}
    assert json.loads((folder / "keys.json").read_text()).keys() == {"1", "2"}
