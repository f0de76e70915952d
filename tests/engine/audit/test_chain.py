"""History is sealed whole, and whoever changes it afterwards, the database's owner too, is found and named."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.audit import store
from engine.audit.rules import Kind, Signer
from engine.audit.service import Chain
from engine.audit.verifying import Verifier, read_outside
from engine.storage.sharding import new_id
from engine.words import AccountRef, Charge, Purchase, Unit
from runtime.keyring import Keyring
from tests.engine.shop import asking, credit, open_line


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


def told(findings):
    return {(one.what, one.account) for one in findings}


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


#: what somebody with the owner's rights does to the first line's account, and what is said of it
TAMPERED = {
    "an amount": (
        "UPDATE transfer SET amount = amount + 1 WHERE account_id = %(account)s AND debit = 'balance'",
        {"changed"},
    ),
    "an answer": (
        "UPDATE operation SET answer = jsonb_set(answer, '{code}', '\"refused\"') WHERE account_id = %(account)s",
        {"changed"},
    ),
    "when it was": (
        "UPDATE operation SET booked_at = booked_at + interval '1 microsecond' WHERE account_id = %(account)s",
        {"changed"},
    ),
    "an operation is gone": (
        "DELETE FROM operation WHERE account_id = %(account)s AND kind = 'charge'",
        {"removed", "transfer without operation"},
    ),
    "an operation is gone without a trace": (
        (
            "WITH gone AS (DELETE FROM operation WHERE account_id = %(account)s AND kind = 'charge' RETURNING key)"
            " DELETE FROM transfer WHERE key IN (SELECT key FROM gone)"
        ),
        {"removed"},
    ),
    "a transfer more": (
        (
            "INSERT INTO transfer SELECT shard, account_id, key, leg + 1, booked_at, debit, credit, unit, amount,"
            " bucket_id, batch_id FROM transfer WHERE account_id = %(account)s AND debit = 'adjustments'"
        ),
        {"changed"},
    ),
    "a transfer less": (
        "DELETE FROM transfer WHERE account_id = %(account)s AND debit = 'adjustments'",
        {"changed"},
    ),
    "a transfer of no operation": (
        (
            "INSERT INTO transfer SELECT shard, account_id, gen_random_uuid(), leg, booked_at, debit, credit,"
            " unit, amount,"
            " bucket_id, batch_id FROM transfer WHERE account_id = %(account)s AND debit = 'adjustments'"
        ),
        {"transfer without operation"},
    ),
    "an operation more": (
        (
            "INSERT INTO operation SELECT shard, account_id, gen_random_uuid(), booked_at - interval '1 hour',"
            " kind, code,"
            " reference, request_hash, answer, source, line_id, batch_id, NULL FROM operation"
            " WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {"inserted"},
    ),
    "the same key twice": (
        (
            "INSERT INTO operation SELECT shard, account_id, key, booked_at - interval '1 hour', kind, code,"
            " reference, request_hash, answer, source, line_id, batch_id, NULL FROM operation"
            " WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {"inserted beside the sealed one"},
    ),
    "a step of a payment": (
        "UPDATE payment_event SET body = '{\"amount\": 50}' WHERE account_id = %(account)s",
        {"changed"},
    ),
    "who did it": (
        "UPDATE staff_action SET by = 'bob' WHERE account_id = %(account)s",
        {"changed"},
    ),
    "that staff did it": (
        "DELETE FROM staff_action WHERE account_id = %(account)s",
        {"removed"},
    ),
}


@pytest.mark.parametrize("tampered", TAMPERED)
async def test_a_changed_removed_or_inserted_row_is_named(tampered, history, owner, verified):
    sql, expected = TAMPERED[tampered]
    owner.execute(sql, {"account": history[0].account.account_id})
    for export in (True, False):
        assert told(await verified(export=export)) == {(what, history[0].account) for what in expected}


async def test_the_operation_whose_amount_was_changed_is_named_by_its_key(history, owner, verified):
    (key,) = owner.execute(
        "UPDATE transfer SET amount = 1 WHERE account_id = %s AND credit = 'usage' RETURNING key",
        (history[1].account.account_id,),
    ).fetchone()
    (found,) = await verified()
    assert (found.row.kind, found.row.row_id, found.account) == (Kind.OPERATION, key, history[1].account)


async def test_an_action_on_no_account_is_named_by_its_id(history, owner, verified):
    (action,) = owner.execute(
        "UPDATE staff_action SET why = 'holiday' WHERE what = 'doctor.freeze' RETURNING action_id"
    ).fetchone()
    (found,) = await verified()
    assert (found.what, found.row.kind, found.row.row_id, found.account) == (
        "changed",
        Kind.STAFF_ACTION,
        action,
        None,
    )


async def test_a_cut_off_tail_is_seen_against_the_export_with_every_row_that_went(history, owner, verified):
    account = history[0].account
    for table in ("transfer", "operation", "staff_action", "payment_event"):
        owner.execute(f"DELETE FROM {table} WHERE shard = %s", (account.shard,))
    owner.execute("DELETE FROM audit_root WHERE shard = %s", (account.shard,))
    found = await verified()
    assert {one.what for one in found} == {"root is missing in the database", "removed"}
    assert sum(one.account == account for one in found) == 5
    # Without the export it cannot be seen.
    assert await verified(export=False) == []


async def test_a_replaced_root_is_found_with_and_without_the_export(engine, history, owner, verified, database):
    """The owner changes a row and makes the root anew, with another key: the signature tells."""
    account = history[2].account
    owner.execute("UPDATE transfer SET amount = 1 WHERE account_id = %s AND credit = 'usage'", (account.account_id,))
    forger = Signer(Keyring({1: b"f" * 32}))
    owner.execute("DELETE FROM audit_root WHERE shard = %s", (account.shard,))
    owner.execute("TRUNCATE audit_progress")
    await Chain(database, forger, None).seal()
    alone = await verified(export=False)
    assert "root has a wrong signature" in {one.what for one in alone}
    found = told(await verified())
    assert {("root has a wrong signature", None), ("root differs from the export", None)} <= found
    assert ("changed", account) in found


async def test_a_root_that_lies_about_its_leaves_is_found_and_the_export_still_names_the_row(history, owner, verified):
    account = history[0].account
    owner.execute("UPDATE transfer SET amount = 1 WHERE account_id = %s AND credit = 'usage'", (account.account_id,))
    owner.execute(
        "UPDATE audit_root SET leaves = set_byte(leaves, 40, 255 - get_byte(leaves, 40)) WHERE shard = %s AND seq = 1",
        (account.shard,),
    )
    assert ("root does not fit its leaves: its rows cannot be told", None) in told(await verified(export=False))
    assert ("changed", account) in told(await verified())


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE audit_root SET prev_hash = sha256('x') WHERE shard = 0 AND seq = 2", "wrong signature"),
        ("UPDATE audit_root SET sealed_at = now() WHERE shard = 0 AND seq = 1", "wrong signature"),
        ("UPDATE audit_root SET leaves = 'x' WHERE shard = 0 AND seq = 1", "wrong signature"),
        ("DELETE FROM audit_root WHERE shard = 0 AND seq = 1", "does not begin with its first root"),
        ("DELETE FROM audit_root WHERE shard = 0 AND seq = 2", "roots 2 to 2 are missing"),
    ],
)
async def test_a_broken_link_is_found_without_an_export(  # noqa: PLR0917
    sql, what, history, trail, chain, owner, verified
):
    for _ in range(2):
        await trail.record("more", by="bob", why="test")
        assert await chain.seal() == 1
    owner.execute(sql)
    assert [one for one in await verified(export=False) if what in one.what and one.shard == 0]


async def test_a_root_that_the_export_lacks_is_found(history, folder, verified):
    (path, *_) = sorted(folder.glob("roots-*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    gone = json.loads(lines[0])["root"]
    assert [(one.what, one.shard, one.seq) for one in await verified()] == [
        ("root is missing in the export", gone["shard"], gone["seq"])
    ]


async def test_a_forged_line_of_the_export_is_not_believed(history, folder, verified):
    path = min(folder.glob("roots-*.jsonl"))
    text = path.read_text().replace('"seq":1,', '"seq":1 ,', 1)
    forged = json.loads(text.splitlines()[0])
    forged["root"]["merkle_root"] = "00" * 32
    path.write_text(text + json.dumps(forged) + "\nnonsense\n")
    found = await verified()
    assert ("export: a root with a wrong signature", forged["root"]["shard"]) in {
        (one.what, one.shard) for one in found
    }
    assert [one.notice for one in found if "no root" in one.what] == [True]


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
        await other.exec_driver_sql(f"SELECT pg_advisory_lock({store.CHAIN_LOCK})")
        assert await chain.seal() is None
        await other.exec_driver_sql(f"SELECT pg_advisory_unlock({store.CHAIN_LOCK})")
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
    assert {one.what for one in found} >= {"root has a wrong signature"}
    assert json.loads((folder / "keys.json").read_text()).keys() == {"1", "2"}


async def test_the_application_cannot_rewrite_the_trail(history, database):
    for table in ("staff_action", "audit_root", "dispute_evidence"):
        async with database.connect() as connection:
            for change in (f"UPDATE {table} SET shard = shard", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(Exception, match="permission denied"):
                    await connection.exec_driver_sql(change)
                await connection.rollback()


async def test_numbers_in_a_reason_are_hidden_and_nobody_acts_unnamed(trail, owner):
    await trail.record("line.status", by=" amina ", why="she called from +254712345678", detail={"to": "barred"})
    assert owner.execute("SELECT by, why, detail FROM staff_action").fetchall() == [
        ("amina", "she called from +2547•••••678", {"to": "barred"})
    ]
    with pytest.raises(ValueError, match="by"):
        await trail.record("line.status", by=" ", why="x")


async def test_what_is_refused_stands_in_the_trail_too(trail, owner):
    account = AccountRef(3, new_id())
    with pytest.raises(LookupError):
        async with trail.doing("line.erase", by="amina", why="asked", account=account):
            raise LookupError("no such account")
    rows = owner.execute("SELECT what, detail FROM staff_action ORDER BY at").fetchall()
    assert rows == [("line.erase", {}), ("line.erase.refused", {"error": "LookupError"})]
