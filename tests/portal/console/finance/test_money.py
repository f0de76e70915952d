"""Pages of finance: payments with their course, held ones, lists, the ledger."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from engine.words import Adjust, PaymentState, Role, Unit
from tests.portal.console.conftest import Client, Console
from tests.portal.console.finance.ground import MSISDN, held_payment, line_of, pay, rows, settled_payment, today

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_payments_are_paged_by_key_and_each_shown_with_every_point_that_it_was_at(
    paying: Console, client: Client
) -> None:
    payment = await settled_payment(paying)
    await client.sign_in(paying.people[Role.SUPPORT])
    status, listed = await client.get("/payments")
    assert status == 200 and payment.reference in listed
    status, page = await client.get(f"/payments/{payment.payment_id}")
    assert status == 200
    for said in ("Begun", "Gateway answered", "Gateway asked what became of it", "Settled", payment.gateway_ref or "?"):
        assert said in page
    assert MSISDN[1:] not in page
    assert payment.reference in (await client.get("/payments?state=settled"))[1]
    assert payment.reference not in (await client.get("/payments?state=unknown"))[1]
    before = f"{payment.created_at.isoformat()}|{UUID(int=0)}".replace("+", "%2B")
    assert payment.reference not in (await client.get(f"/payments?after={before}"))[1]
    assert (await client.get("/payments?after=7"))[0] == 400


async def test_a_held_payment_is_released_with_a_reason_by_whoever_may(paying: Console, client: Client) -> None:
    payment = await held_payment(paying)
    path = f"/reviews/{payment.reference}"
    await client.sign_in(paying.people[Role.FINANCE])
    assert payment.reference in (await client.get("/reviews"))[1]
    status, page = await client.get(path)
    assert status == 200 and "payer" in page
    status, said = await client.post(f"{path}/release", why=" ")
    assert status == 422 and "A reason must be given." in said
    assert (await client.post(f"{path}/release", why="called back"))[0] == 303
    found = await paying.engine.payment(payment.payment_id)
    assert found is not None and found.state is not PaymentState.REVIEW
    assert await rows(paying, "SELECT \"by\", why FROM staff_action WHERE what = 'payment.review.approve'") == [
        ("finance", "called back")
    ]
    # Somebody who had the page open is told.
    assert (await client.post(f"{path}/refuse", why="no"))[0] == 422


async def test_whom_staff_blocks_pays_nothing_until_taken_off(paying: Console, client: Client) -> None:
    await client.sign_in(paying.people[Role.FINANCE])
    await client.get("/lists")
    who = {"kind": "payer", "who": "+254700000009"}
    assert (await client.post("/lists", **who, verdict="block", why="stolen"))[0] == 303
    status, page = await client.get("/lists?done=listed")
    assert status == 200 and "stolen" in page and "+254700000009" not in page
    assert (await client.post("/lists/off", **who, why="found"))[0] == 303
    assert (await client.post("/lists/off", **who, why="found"))[0] == 422
    for wrong in ({"days": "-1"}, {"days": "99999"}, {"kind": "x"}, {"verdict": "x"}, {"who": ""}):
        assert (await client.post("/lists", **{**who, "verdict": "block", "why": "w", **wrong}))[0] == 422


async def test_debits_equal_credits_and_the_journal_is_a_file_without_formulas(paying: Console, client: Client) -> None:
    line = await line_of(paying)
    answer = await paying.engine.post(
        Adjust(
            account=line.account,
            key=uuid4(),
            asked_at=datetime.now(UTC),
            source="=cmd",
            unit=Unit.MONEY,
            amount=500,
            reason="t",
        )
    )
    assert answer.ok
    await client.sign_in(paying.people[Role.FINANCE])
    status, page = await client.get("/ledger")
    assert status == 200 and "Debits equal credits" in page and "Corrections" in page
    assert (await client.get("/ledger/receivables"))[0] == 200
    assert (await client.get("/ledger?until=tomorrow"))[0] == 400
    status, text = await client.get(f"/ledger/journal.csv?since={today(paying)}")
    found = [row for row in csv.DictReader(io.StringIO(text)) if row["key"] == str(answer.key)]
    assert status == 200
    assert [(row["amount"], row["kind"], row["source"]) for row in found] == [("500", "adjust", "'=cmd")]
    assert (await client.get("/ledger/journal.csv?since=2026-01-01&until=2026-12-31"))[0] == 400


async def test_staff_actions_are_paged_and_exported_for_auditors(paying: Console, client: Client) -> None:
    for number in range(60):
        await paying.engine.audit.record("test.done", by="amina", why=f"=reason {number}")
    await client.sign_in(paying.people[Role.AUDITOR])
    _, page = await client.get("/audit?by=amina&what=test")
    assert page.count(">test.done</bdi>") == 50
    following = re.search(r'href="/console(/audit\?[^"]*after=[^"]*)"', page)
    assert following is not None
    _, page = await client.get(following[1].replace("&amp;", "&"))
    assert page.count(">test.done</bdi>") == 10
    status, text = await client.get("/audit.csv?by=amina")
    told = list(csv.DictReader(io.StringIO(text)))
    assert status == 200 and len(told) == 60
    assert {row["why"][:2] for row in told} == {"'="}


async def test_what_was_given_up_is_taken_up_again_with_a_trace(paying: Console, client: Client) -> None:
    payment = await pay(paying)
    await rows(
        paying,
        "UPDATE payment SET state = 'declined', reason = 'unresolved', next_check_at = NULL RETURNING payment_id",
    )
    await client.sign_in(paying.people[Role.FINANCE])
    assert payment.reference in (await client.get("/payments?state=unresolved"))[1]
    status, page = await client.get(f"/payments/{payment.payment_id}")
    assert status == 200 and "Take it up again" in page
    assert (await client.post(f"/payments/{payment.payment_id}/look-again", why="asked by phone"))[0] == 303
    found = await paying.engine.payment(payment.payment_id)
    assert found is not None and found.state is not PaymentState.DECLINED
    assert await rows(paying, "SELECT why FROM staff_action WHERE what = 'payment.look_again'") == [("asked by phone",)]
