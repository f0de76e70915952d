"""Whoever changes sealed history, the database's owner too, is found, and the row is named."""

from __future__ import annotations

import hashlib
import json

import pytest

from engine.audit import store
from engine.audit.rules import Kind, Signer
from engine.audit.service import Chain
from runtime.keyring import Keyring


def told(findings):
    return {(one.what, one.account) for one in findings}


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


async def test_a_root_that_was_signed_beside_the_chain_does_not_follow(
    *, history, trail, chain, signer, database, owner, verified
):
    for _ in range(2):
        await trail.record("more", by="bob", why="test")
        assert await chain.seal() == 1
    async with database.connect() as connection:
        (second,) = [root async for root in store.roots_of(connection, 0, None) if root.seq == 2]
    # Of another installation with the same key, say: all of it is true but for what came before.
    other = signer.sign(second._replace(prev_hash=hashlib.sha256(b"another history").digest()))
    owner.execute(
        "UPDATE audit_root SET prev_hash = %s, signature = %s WHERE shard = 0 AND seq = 2",
        (other.prev_hash, other.signature),
    )
    assert "root does not follow from the one before it" in {one.what for one in await verified(export=False)}


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
    assert ("export: root has a wrong signature", forged["root"]["shard"]) in {(one.what, one.shard) for one in found}
    assert [one.notice for one in found if "no root" in one.what] == [True]
