"""A signed receipt proves itself offline, and no changed one does."""

from __future__ import annotations

import copy
import json

import pytest

from engine.audit.receipts import BadReceipt, NoReceipt, NotChained, check
from engine.audit.rules import Signer
from engine.words import Charge, Unit
from runtime.keyring import Keyring
from tests.engine.payers import settled
from tests.engine.shop import asking, credit, open_line


@pytest.fixture
async def paid(engine, owner):
    """A payment that was credited; others around it, so that its path has more than one step."""
    line = await open_line(engine, money=100)
    for _ in range(5):
        await credit(engine, line, 10)
    answer = await settled(engine, owner, line)
    for _ in range(3):
        await credit(engine, line, 10)
    return line, answer


async def test_a_receipt_is_checked_with_nothing_but_the_public_keys(engine, paid, chain, signer):
    line, answer = paid
    await chain.seal()
    given = (await engine.receipt(answer.reference)).json()
    seen = check(given, signer.public_keys())
    assert seen.receipt["reference"] == answer.reference
    assert seen.receipt["details"]["amount"] == 5000
    assert len(seen.proof.path) >= 3
    # The same by its key, and with the line's account.
    assert (await engine.receipt(answer.key)).json() == given
    assert (await engine.receipt(answer.reference.lower(), line.account)).json() == given


async def test_what_is_no_payment_has_a_receipt_on_its_account(engine, paid, chain, signer):
    line, _ = paid
    answer = await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=7))
    await chain.seal()
    with pytest.raises(NoReceipt):
        await engine.receipt(answer.reference)
    assert check((await engine.receipt(answer.reference, line.account)).json(), signer.public_keys())


async def test_a_receipt_that_is_not_chained_says_so_and_from_when_on_it_is(engine, paid, signer):
    _, answer = paid
    given = await engine.receipt(answer.reference)
    assert given.proof is None
    assert given.receipt["reference"] == answer.reference
    with pytest.raises(NotChained) as caught:
        check(given.json(), signer.public_keys())
    assert caught.value.args[0] == given.chained_by


#: what somebody does to a receipt, and the field that gives it away
CHANGES = {
    "the amount in what is read": (("receipt", "details", "amount"), 500_000, "receipt"),
    "the amount in what is sealed": (("leaf", "transfers", 0, "amount"), 500_000, "leaf"),
    "both": (None, None, "leaf"),
    "the root": (("proof", "root", "merkle_root"), "00" * 32, "signature"),
    "the time of the root": (("proof", "root", "sealed_at"), "2020-01-01T00:00:00.000000Z", "signature"),
    "the place": (("proof", "index"), 0, "leaf"),
    "a place that cannot be": (("proof", "index"), 10**9, "leaf"),
    "a step": (("proof", "path", 0), "00" * 32, "leaf"),
    "a step that is none": (("proof", "path", 0), "xyz", "proof"),
    "the signature": (("proof", "signature"), "AAAA", "signature"),
    "a signature that is none": (("proof", "signature"), "§§", "signature"),
    "the key": (("proof", "root", "key_id"), 9, "key_id"),
    "the format": (("format",), "rasid-receipt-9", "format"),
    "a leaf that is none": (("leaf",), {"row": "operation"}, "leaf"),
    "a leaf of other words": (("leaf", "answer"), "x", "leaf"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_receipt_is_refused_by_the_field(change, engine, paid, chain, signer):
    await chain.seal()
    given = json.loads((await engine.receipt(paid[1].reference)).json())
    path, value, field = CHANGES[change]
    changed = copy.deepcopy(given)
    if path is None:
        changed["receipt"]["details"]["amount"] = changed["leaf"]["answer"]["details"]["amount"] = 500_000
    else:
        *way, last = path
        place = changed
        for step in way:
            place = place[step]
        place[last] = value
    assert check(json.dumps(given).encode(), signer.public_keys())
    with pytest.raises(BadReceipt, match=f"^{field}"):
        check(json.dumps(changed).encode(), signer.public_keys())


async def test_a_receipt_signed_by_somebody_else_is_refused(engine, paid, chain, signer):
    await chain.seal()
    given = (await engine.receipt(paid[1].reference)).json()
    with pytest.raises(BadReceipt, match=r"^signature"):
        check(given, Signer(Keyring({1: b"x" * 32})).public_keys())


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b"null", b'{"receipt": 1}'])
def test_what_is_no_receipt_is_refused(junk, signer):
    with pytest.raises(BadReceipt):
        check(junk, signer.public_keys())


async def test_an_operation_that_was_changed_after_it_was_sealed_gets_no_receipt(engine, paid, chain, owner):
    await chain.seal()
    owner.execute("UPDATE transfer SET amount = 1 WHERE key = %s", (paid[1].key,))
    with pytest.raises(NoReceipt, match="audit verify"):
        await engine.receipt(paid[1].reference)


async def test_nothing_has_an_unknown_reference(engine, paid):
    for unknown in ("ZZZZZZ", "", "'; DROP TABLE receipt"):
        with pytest.raises(NoReceipt):
            await engine.receipt(unknown)
