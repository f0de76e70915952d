"""A case keeps what every layer knew, has an owner and a deadline, and moves money once, through the one door."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from engine.audit.receipts import NoReceipt
from engine.disputes.rules import CaseRefused
from engine.disputes.tables import CaseState, Outcome
from engine.words import Charge, Code, Purchase, Unit
from tests.engine.payers import captured, settled
from tests.engine.shop import asking, credit, open_line


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def paid(engine, owner):
    line = await open_line(engine)
    return line, await settled(engine, owner, line)


async def balance(engine, line):
    return (await engine.subscriber(line.msisdn)).total(Unit.MONEY)


async def test_a_case_holds_what_every_layer_knew(engine, paid, owner):
    line, answer = paid
    case = await engine.disputes.open(answer.reference.lower(), "never got it", "amina", owner="bob", days=5)
    assert (case.state, case.owner, case.account) == (CaseState.OPEN, "bob", line.account)
    assert timedelta(days=4, hours=23) < case.deadline - datetime.now(UTC) < timedelta(days=5)
    known, evidence = await engine.disputes.find(case.number)
    assert known == case
    layers = {one.layer for one in evidence}
    assert layers >= {
        "hop",
        "operation",
        "transfer",
        "payment",
        "gateway",
        "receipt",
        "history",
        "receivable",
        "message",
    }
    (hop,) = [one.body for one in evidence if one.layer == "hop"]
    assert (hop["source"], hop["key"]) == ("test", str(answer.key))
    # Nothing sealed, no number.
    assert line.msisdn.lstrip("+") not in str(evidence)
    assert not [one for one in evidence if "sealed_payer" in one.body]
    # It stays what it was, whatever comes later.
    owner.execute("UPDATE payment SET reason = 'later'")
    assert (await engine.disputes.find(str(case.case_id)))[1] == evidence


async def test_a_payment_that_was_never_settled_can_be_disputed(engine, owner):
    line = await open_line(engine)
    payment_id = captured(owner, line)
    case = await engine.disputes.open(str(payment_id), "paid and got nothing", "amina")
    assert (case.payment_id, case.operation_key) == (payment_id, None)
    reference = owner.execute("SELECT reference FROM payment").fetchone()["reference"]
    assert (await engine.disputes.open(reference, "again", "amina")).payment_id == payment_id


async def test_a_refund_takes_the_credit_back_once_however_often_it_is_decided(engine, paid, owner):
    line, answer = paid
    case = await engine.disputes.open(answer.reference, "not me", "amina")
    done = await asyncio.gather(
        *(engine.disputes.resolve(case.number, Outcome.REFUND, "believed", "bob") for _ in range(4)),
        return_exceptions=True,
    )
    assert [one for one in done if not isinstance(one, CaseRefused)]
    known, _ = await engine.disputes.find(case.number)
    assert (known.state, known.outcome, known.resolved_by) == (CaseState.RESOLVED, Outcome.REFUND, "bob")
    assert await balance(engine, line) == 0
    assert owner.execute("SELECT state FROM payment").fetchone() == {"state": "refunding"}
    reversed_by = owner.execute("SELECT reference, source FROM operation WHERE kind = 'reverse'").fetchall()
    assert reversed_by == [{"reference": known.outcome_reference, "source": "staff:bob"}]
    with pytest.raises(CaseRefused, match="was resolved"):
        await engine.disputes.resolve(case.number, Outcome.REFUSED, "no", "bob")


async def test_a_chargeback_takes_what_is_left(engine, paid, owner):
    line, answer = paid
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=4000))).ok
    case = await engine.disputes.open(answer.reference, "stolen phone", "amina")
    known, moved = await engine.disputes.resolve(case.number, Outcome.CHARGEBACK_ACCEPTED, "bank insists", "bob")
    assert moved.details["taken"] == 1000
    assert known.state is CaseState.RESOLVED
    assert await balance(engine, line) == 0
    assert owner.execute("SELECT state FROM payment").fetchone() == {"state": "charged_back"}


async def test_where_the_door_refuses_the_case_is_open_again(engine, paid):
    line, answer = paid
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=4000))).ok
    case = await engine.disputes.open(answer.reference, "not me", "amina")
    known, refused = await engine.disputes.resolve(case.number, Outcome.REFUND, "believed", "bob")
    assert refused.code == Code.BALANCE_TOO_LOW
    assert (known.state, known.outcome) == (CaseState.OPEN, None)
    # Once the balance is there, the same decision is asked of the door anew.
    await credit(engine, line, 4000)
    known, moved = await engine.disputes.resolve(case.number, Outcome.REFUND, "believed", "bob")
    assert (known.state, moved.ok, await balance(engine, line)) == (CaseState.RESOLVED, True, 0)


async def test_a_purchase_is_given_back(engine, owner):
    line = await open_line(engine, money=100_000)
    product = engine.products()[0]
    bought = await engine.post(asking(Purchase, line, product=product.code, price=product.price))
    with pytest.raises(NoReceipt):
        await engine.disputes.open(bought.reference, "by mistake", "amina")
    case = await engine.disputes.open(bought.reference, "by mistake", "amina", account=line.account)
    with pytest.raises(CaseRefused, match="payment"):
        await engine.disputes.resolve(case.number, Outcome.CHARGEBACK_ACCEPTED, "x", "bob")
    known, moved = await engine.disputes.resolve(case.number, Outcome.REFUND, "within the hour", "bob")
    assert (known.state, moved.ok, await balance(engine, line)) == (CaseState.RESOLVED, True, 100_000)


async def test_a_decision_that_a_crash_broke_off_is_finished_by_the_same_one_only(engine, paid, owner):
    line, answer = paid
    case = await engine.disputes.open(answer.reference, "not me", "amina")
    owner.execute("UPDATE dispute SET state = 'resolving', outcome = 'refund', outcome_reason = 'believed'")
    with pytest.raises(CaseRefused, match="finish that first"):
        await engine.disputes.resolve(case.number, Outcome.REFUSED, "no", "bob")
    known, _ = await engine.disputes.resolve(case.number, Outcome.REFUND, "believed", "bob")
    assert (known.state, await balance(engine, line)) == (CaseState.RESOLVED, 0)


async def test_every_step_is_in_the_audit_trail(engine, paid, owner):
    line, answer = paid
    case = await engine.disputes.open(answer.reference, "never got it", "amina")
    await engine.disputes.assign(case.number, "carol", "bob")
    await engine.disputes.resolve(case.number, Outcome.REFUSED, "it was used", "carol")
    rows = owner.execute("SELECT what, by, why, account_id FROM staff_action ORDER BY at").fetchall()
    assert [(row["what"], row["by"], row["why"]) for row in rows] == [
        ("dispute.open", "amina", "never got it"),
        ("dispute.assign", "bob", ""),
        ("dispute.decide", "carol", "it was used"),
        ("dispute.resolve", "carol", "it was used"),
    ]
    assert {row["account_id"] for row in rows} == {line.account.account_id}


async def test_cases_that_wait_are_listed_by_their_deadline(engine, paid, owner):
    _, answer = paid
    cases = [await engine.disputes.open(answer.reference, "x", "amina", days=days) for days in (9, 2, 5)]
    await engine.disputes.resolve(cases[2].number, Outcome.REFUSED, "x", "bob")
    assert [one.number for one in await engine.disputes.list()] == [cases[1].number, cases[0].number]
    assert len(await engine.disputes.list(resolved=True)) == 3
    owner.execute("UPDATE dispute SET deadline = now() - interval '1 minute'")
    assert [one.overdue for one in await engine.disputes.list()] == [True, True]


async def test_bad_input_names_the_field_and_opens_nothing(engine, paid, owner):
    _, answer = paid
    with pytest.raises(ValueError, match=r"^reason"):
        await engine.disputes.open(answer.reference, " ", "amina")
    with pytest.raises(ValueError, match=r"^days"):
        await engine.disputes.open(answer.reference, "x", "amina", days=0)
    with pytest.raises(ValueError, match=r"^by"):
        await engine.disputes.open(answer.reference, "x", " ")
    with pytest.raises(NoReceipt):
        await engine.disputes.open("NOSUCH", "x", "amina")
    with pytest.raises(LookupError):
        await engine.disputes.find("D0000000")
    assert owner.execute("SELECT count(*) AS n FROM dispute").fetchone() == {"n": 0}
