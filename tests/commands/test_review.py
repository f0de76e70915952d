"""``manage.py review`` as staff runs it, beside an engine that is serving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from engine.words import PaymentRefused, PaymentState, Refused
from settings import FraudRules, Operator
from tests.commands.conftest import Program
from tests.engine.payments.house import House
from tests.houses import Houses

WHO = ("--by", "amina", "--why", "called the customer")

Manage = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def house(houses: Houses, operator: Operator) -> House:
    """A house that holds every payment of a fresh line."""
    return await houses(operator.model_copy(update={"fraud": FraudRules(new_line_hours=24, new_line_weight=60)}))


@pytest.fixture
def manage(program: Program) -> Manage:
    """Runs a command of ``review``; returns exit code and everything printed."""

    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(program, "review", *arguments)
        return done.exit_code, done.output

    return run


async def test_a_held_payment_is_listed_with_its_reasons_and_let_pass(house: House, manage: Manage) -> None:
    payment = await house.pay(await house.line(), 5_000)
    _, shown = await manage("list")
    assert [part in shown for part in (payment.reference, "50.00 KES", "60", "line_new")] == [True] * 4
    _, lines = await manage("list", "--json")
    assert json.loads(lines)["inputs"]["line_hours"] == 0
    code, said = await manage("approve", payment.reference, *WHO)
    assert (code, said.strip()) == (0, f"{payment.reference}: let pass, now created")
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    assert payment.reference not in (await manage("list"))[1]


async def test_a_refused_payment_is_over_and_cannot_be_decided_on_again(house: House, manage: Manage) -> None:
    payment = await house.pay(await house.line(), 5_000)
    assert await manage("refuse", payment.reference, *WHO) == (0, f"{payment.reference}: refused, now declined\n")
    code, said = await manage("approve", payment.reference, *WHO)
    assert code == 2
    assert "no payment of this reference waits for review" in said
    found = await house.engine.payment(payment.payment_id)
    assert found is not None
    assert found.state is PaymentState.DECLINED


async def test_who_is_blocked_cannot_pay_until_taken_off_and_who_is_trusted_is_not_held(
    house: House, manage: Manage
) -> None:
    line = await house.line()
    assert await manage("block", "subscriber", line.msisdn, *WHO) == (0, "subscriber: block\n")
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, 5_000)
    assert refused.value.args[0] is Refused.BLOCKED
    assert (await manage("unlist", "subscriber", line.msisdn, *WHO))[0] == 0
    assert (await manage("unlist", "subscriber", line.msisdn, *WHO))[0] == 2
    await manage("trust", "payer", line.msisdn, *WHO, "--days", "1")
    payment = await house.pay(line, 5_000)
    assert payment.state is not PaymentState.REVIEW
    await house.ended(payment)


@pytest.mark.parametrize("command", ["approve", "refuse"])
async def test_a_reason_has_to_be_given(house: House, manage: Manage, command: str) -> None:
    payment = await house.pay(await house.line(), 5_000)
    code, said = await manage(command, payment.reference, "--by", "amina", "--why", " ")
    assert code == 2
    assert "a reason must be given" in said
