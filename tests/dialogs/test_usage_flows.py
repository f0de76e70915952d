"""Borrowing, usage and its switches: what people say and see, and what the books hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dialogs.catalogue import declared
from dialogs.keywords import Beginning, Intent, Keywords
from dialogs.machine import Machine
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from engine.words import Charge, Subscriber, Unit
from runtime.keyring import Keyring
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.player import Player
from tests.engine.shop import asking, credit, open_line

MB = 1_000_000


@pytest.fixture
async def lending(
    database_url: str, operator: Operator, keyring: Keyring, texts: Texts
) -> AsyncIterator[tuple[Engine, Machine]]:
    """An operator who lends to new lines."""
    rules = {"amounts": (1_000,), "fee_percent": 10, "balance_below": 500, "line_days": 0, "recharges": 0}
    lender = Operator.model_validate(operator.model_dump() | {"advances": rules})
    opened = await open_engine(database_url, lender, keyring)
    yield opened, Machine(declared(lender), texts)
    await opened.close()


async def total(engine: Engine, line: Subscriber | Player, unit: Unit = Unit.MONEY) -> int:
    return (await engine.subscriber(line.msisdn)).total(unit)


async def test_who_may_not_borrow_hears_it(calling: Calling) -> None:
    (await (await calling(money=20_000)).say("6")).stands_in("advance.none").sees("No advance is possible now.")


async def test_fee_and_repayment_stand_before_the_advance_is_taken(
    lending: tuple[Engine, Machine],
) -> None:
    engine, machine = lending
    line = await open_line(engine, money=100)
    player = await Player(engine, machine, line.msisdn).dial()
    await player.say("6")
    player.stands_in("advance.offer").sees("1 KES 10.00, pay back KES 11.00")
    (await player.say("1")).sees("KES 10.00 now, fee KES 1.00. Your next recharge pays back KES 11.00.")
    assert await total(engine, line) == 100
    (await player.say("1")).stands_in("advance.done").sees("pays back KES 11.00. Balance KES 11.00.")
    assert await total(engine, line) == 1_100
    again = await player.again("s2")
    (await again.say("6")).stands_in("advance.none").sees("You still owe KES 11.00")


async def test_each_deduction_is_told_with_before_and_after(calling: Calling, engine: Engine) -> None:
    player = await calling(money=20_000)
    line = await engine.subscriber(player.msisdn)
    await credit(engine, line, 100 * MB, Unit.OCTETS)
    assert (await engine.post(asking(Charge, line, unit=Unit.OCTETS, amount=30 * MB, category="internet"))).ok
    await player.say("7")
    player.stands_in("usage.home").sees("Used today:", "30 MB")
    await player.say("1")
    player.stands_in("usage.why").sees("Used (internet): 30 MB of Correction, 100 MB > 70 MB. Ref ")
    (await player.say("1")).stands_in("usage.outlook").sees("70 MB left: 2 days at your usual pace.")


async def test_a_bundle_that_was_bought_is_told_by_its_name_and_not_by_its_code(calling: Calling) -> None:
    player = await (await calling(money=20_000)).say("3", "4", "1")
    told = await (await player.again("s2")).say("7", "1")
    told.stands_in("usage.why").sees(
        "Bundle (Social 150 MB 1 day): KES 10.00 of Airtime, KES 200.00 > KES 190.00. Ref "
    )


async def test_nothing_used_is_said_so(calling: Calling) -> None:
    player = await (await calling()).say("7")
    player.sees("Nothing used today.")
    (await player.say("1")).sees("Nothing went down in the last 7 days.")
    (await player.say("0", "2")).sees("You have not used anything yet.")


async def test_a_limit_is_set_confirmed_and_lifted(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("7", "3", "3", "1", "50")
    player.stands_in("usage.limit").sees("Use 50 MB a day at most?")
    (await player.say("1")).stands_in("usage.saved").sees("Saved. Ref ")
    again = await player.again("s2")
    (await again.say("7", "3")).sees("3 Data a day: 50 MB", "1 Money a day: No limit")
    await again.say("3", "2", "1")
    rules = await engine.usage.spending_rules(await engine.subscriber(player.msisdn))
    assert [one.day_cap for one in rules.meters] == [None]


async def test_airtime_pays_beyond_bundles_only_after_a_yes(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("7", "5")
    player.stands_in("usage.consent").sees("May airtime pay when your bundles are used up?")
    assert not (await engine.usage.spending_rules(await engine.subscriber(player.msisdn))).out_of_bundle
    await player.say("1")
    assert (await engine.usage.spending_rules(await engine.subscriber(player.msisdn))).out_of_bundle
    (await (await player.again("s2")).say("7", "5")).sees("Shall use stop when your bundles are used up?")


async def test_a_bundle_renews_from_a_yes_until_a_yes(calling: Calling, engine: Engine) -> None:
    player = await calling(money=40_000)
    await player.say("3", "8", "1")
    again = await (await player.again("s2")).say("7", "4")
    again.sees("1 Renew Combo week")
    (await again.say("1")).sees("Renew Combo week for KES 300.00 whenever it ends?")
    await again.say("1")
    line = await engine.subscriber(player.msisdn)
    assert [code for code, _, _ in await engine.agreements.renewals(line)] == ["combo_week"]
    last = await (await player.again("s3")).say("7", "4", "1", "1")
    last.stands_in("usage.saved")
    assert await engine.agreements.renewals(line) == []


@pytest.mark.parametrize(
    ("typed", "beginning"),
    [
        ("SEND 50 0712345678", Beginning("transfer.what", ("1", "0712345678", "50"))),
        ("send 0712345678 50", Beginning("transfer.what", ("1", "0712345678", "50"))),
        ("Send 20 MB to 0712345678", Beginning("transfer.what", ("2", "0712345678", "20"))),
        ("tuma 50 +254712345678", Beginning("transfer.what", ("1", "254712345678", "50"))),
        ("SEND", Beginning("transfer.what")),
        ("SEND 50", Beginning("transfer.what")),
        ("WHY", Beginning("usage.why")),
        ("ADVANCE", Beginning("advance.offer")),
        ("okoa", Beginning("advance.offer")),
        ("UNDO", Beginning("transfer.gift")),
        ("usage", Beginning("usage.home")),
    ],
)
def test_a_keyword_begins_with_all_that_it_says(
    operator: Operator, texts: Texts, typed: str, beginning: Beginning
) -> None:
    keywords = Keywords(texts, operator)
    read = keywords.read(typed)
    assert read is not None and read.intent in Intent
    assert keywords.beginning(read) == beginning
