"""Money that a gateway has and nobody was credited is credited once, through the one door, by rule or by staff."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from engine.reconciliation.cases import Selection
from engine.reconciliation.tables import Resolution
from engine.words import Payment, PaymentState, Subscriber
from settings import Operator, ReconciliationRules
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import kinds, of, reconciled, row, square
from tests.houses import Houses

EVERYTHING = Selection(resolved=True)


def by_rule(operator: Operator, credit: str) -> Operator:
    """The operator with this rule for missing credits."""
    return operator.model_copy(update={"reconciliation": ReconciliationRules.model_validate({"credit": credit})})


@pytest.fixture
async def believing(houses: Houses, operator: Operator) -> House:
    """A house that credits what a statement says."""
    return await houses(by_rule(operator, "stated"))


@pytest.fixture
async def careful(houses: Houses, operator: Operator) -> House:
    """A house that credits nothing by rule."""
    return await houses(by_rule(operator, "never"))


async def declined(house: House) -> tuple[Subscriber, Payment]:
    """A payment that its gateway said was refused."""
    line = await house.line()
    await house.plays("decline", reason="funds")
    return line, await house.ended(await house.pay(line, 5_000))


async def lost(house: House) -> tuple[Subscriber, Payment]:
    """A payment that the gateway has taken, and that we gave up before we heard of it."""
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    async with house.http.get(f"{house.sandbox.base_url}/payments"):
        pass
    while not await house.taken():
        pass
    await house.run(
        "UPDATE payment SET state = 'declined', reason = 'unresolved', next_check_at = NULL WHERE payment_id = %s",
        payment.payment_id,
    )
    found = await house.engine.payment(payment.payment_id)
    assert found is not None and found.state is PaymentState.DECLINED
    return line, found


async def test_a_missing_credit_that_the_gateway_confirms_is_credited_by_rule(house: House) -> None:
    line, payment = await lost(house)
    run = await reconciled(house, of(payment))
    assert (run.found, run.credited) == (1, 1)
    assert await house.money(line) == 5_000
    [ended] = await house.engine.reconciliation.discrepancies(EVERYTHING)
    assert (ended.kind, ended.resolution, ended.payment_id) == ("missing_here", "credited", payment.payment_id)
    assert await square(house) == [(5_000, 5_000, 0, 0)]
    await house.right()


async def test_what_was_credited_by_rule_is_not_credited_again_by_the_same_file(house: House) -> None:
    line, payment = await lost(house)
    text = of(payment)
    for _ in range(3):
        await reconciled(house, text)
    assert await house.money(line) == 5_000
    assert await square(house) == [(5_000, 5_000, 0, 0)]
    await house.right()


async def test_a_file_that_the_gateway_contradicts_credits_nothing(house: House) -> None:
    line, payment = await declined(house)
    run = await reconciled(house, of(payment))
    assert (run.credited, await house.money(line)) == (0, 0)
    assert await kinds(house) == [("missing_here", "declined")]


async def test_a_house_that_believes_statements_credits_without_asking(believing: House) -> None:
    line, payment = await declined(believing)
    assert (await reconciled(believing, of(payment))).credited == 1
    assert await believing.money(line) == 5_000
    await believing.right()


async def test_money_that_a_payer_sent_by_themselves_is_credited_to_the_number_they_typed(believing: House) -> None:
    line = await believing.line()
    run = await reconciled(believing, row("SLF7", 2_500, account=line.msisdn))
    assert run.credited == 1
    assert await believing.money(line) == 2_500
    assert await square(believing) == [(2_500, 2_500, 0, 0)]
    await believing.right()


async def test_money_for_a_number_of_nobody_waits_for_staff(believing: House) -> None:
    run = await reconciled(believing, row("SLF8", 2_500, account="+254700999999"))
    assert run.credited == 0
    assert await kinds(believing) == [("missing_here", "payment_unknown")]


async def test_what_a_payer_typed_is_never_stored_in_the_clear(careful: House) -> None:
    line = await careful.line()
    await reconciled(careful, row("SLF9", 2_500, account=line.msisdn))
    digits = line.msisdn.lstrip("+").encode()
    for table in ("discrepancy", "settlement_row", "reconciliation_run", "discrepancy_change"):
        kept = repr(await careful.rows(f"SELECT * FROM {table}")).encode()
        assert digits not in kept


@pytest.mark.parametrize("wrong", [{"amount": 4_999}, {"currency": "UGX"}], ids=["another amount", "another currency"])
async def test_only_exact_matches_are_credited_by_rule(believing: House, wrong: dict[str, object]) -> None:
    line, payment = await declined(believing)
    assert (await reconciled(believing, of(payment, **wrong))).credited == 0
    assert await believing.money(line) == 0


async def test_money_that_has_gone_back_is_not_credited(believing: House) -> None:
    line, payment = await declined(believing)
    run = await reconciled(believing, of(payment), of(payment, amount=-5_000))
    assert (run.credited, run.found, await believing.money(line)) == (0, 0, 0)


async def test_without_the_rule_staff_credits_with_name_and_reason(careful: House) -> None:
    line, payment = await lost(careful)
    assert (await reconciled(careful, of(payment))).credited == 0
    [one] = await careful.engine.reconciliation.discrepancies()
    ended = await careful.engine.reconciliation.resolve(
        one.number, Resolution.CREDITED, by="alice", why="the payer has the receipt"
    )
    assert (ended.state, ended.resolution) == ("resolved", "credited")
    assert await careful.money(line) == 5_000
    _, changes = await careful.engine.reconciliation.discrepancy(one.number)
    assert [(change.what, change.by) for change in changes] == [
        ("found", "reconciliation"),
        ("resolved:credited", "alice"),
    ]
    assert await square(careful) == [(5_000, 5_000, 0, 0)]
    await careful.right()


async def test_staff_cannot_credit_what_is_no_exact_match(careful: House) -> None:
    await reconciled(careful, row("stranger", 700, uuid4(), at=datetime.now(UTC)))
    [one] = await careful.engine.reconciliation.discrepancies()
    with pytest.raises(ValueError, match="only what is missing here"):
        await careful.engine.reconciliation.resolve(one.number, Resolution.CREDITED, by="alice", why="x")
    assert await kinds(careful) == [("missing_here", "payment_unknown")]
