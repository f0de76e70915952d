"""Products that buy themselves again: when, for whom, and until when."""

from __future__ import annotations

import psycopg

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import AutoRenew, Code, LineStatus, Period, Purchase, SetCap, Unit
from tests.engine.shop import asking, open_line


async def test_a_product_renews_itself_and_a_refusal_backs_off(charging: Engine, database_url: str) -> None:
    product = next(product for product in charging.products() if product.code == "data_day_100mb")
    line = await open_line(charging, money=product.price * 2)
    await charging.post(asking(Purchase, line, product=product.code, price=product.price))
    wished = await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    assert wished.ok
    assert await charging.agreements.renew_due() == 0

    def due() -> None:
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("UPDATE renewal SET next_at = now() - interval '1 second', cycle = cycle - interval '1 hour'")

    due()
    assert await charging.agreements.renew_due() == 1
    assert await charging.agreements.renew_due() == 0
    seen = await charging.subscriber(line.msisdn)
    assert (seen.total(Unit.MONEY), seen.total(Unit.OCTETS)) == (0, 2 * product.grants[0].amount)
    topics = []
    for _ in range(5):
        due()
        await charging.agreements.renew_due()
        topics += [message.topic for message in await charging.claim_messages(50, 60)]
    # Tried at once and after each wait of the back-off; told once; then given up.
    assert topics.count("renewal.failed") == 1
    assert await charging.agreements.renewals(line) == []
    assert await check_all(charging._database) == []


async def test_what_a_lines_own_limit_keeps_from_renewing_is_told_as_that(charging: Engine) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price)
    await charging.post(asking(SetCap, line, unit=Unit.MONEY, period=Period.DAY, amount=product.price - 1))
    await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    assert await charging.agreements.renew_due() == 1
    (told,) = [one for one in await charging.claim_messages(50, 60) if one.topic == "renewal.failed"]
    assert (told.body["limited"], told.body["missing"]) == (True, 0)
    assert (await charging.subscriber(line.msisdn)).total(Unit.MONEY) == product.price


async def test_a_renewal_is_announced_once_before_it_is_paid(charging: Engine, database_url: str) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price * 3)
    await charging.post(asking(Purchase, line, product=product.code, price=product.price))
    await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE renewal SET next_at = now() + interval '2 hours'")
    assert await charging.agreements.tell_renewals() == 1
    assert await charging.agreements.tell_renewals() == 0
    assert "renewal.notice" in {message.topic for message in await charging.claim_messages(50, 60)}


async def test_a_line_that_may_not_spend_is_looked_at_again_later(charging: Engine) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price)
    await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    await charging.accounts.set_status(line, LineStatus.SUSPENDED, reason="test", by="alice")
    assert await charging.agreements.renew_due() == 1
    assert await charging.agreements.renew_due() == 0
    assert (await charging.subscriber(line.msisdn)).total(Unit.MONEY) == product.price


async def test_a_suspended_line_may_stop_a_renewal_and_begin_none(charging: Engine) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price)
    await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    await charging.accounts.set_status(line, LineStatus.SUSPENDED, reason="test", by="alice")
    stop, begin = (
        asking(AutoRenew, line, product=product.code, price=product.price, wanted=wanted) for wanted in (False, True)
    )
    assert (await charging.post(stop)).ok
    assert await charging.agreements.renewals(line) == []
    assert (await charging.post(begin)).code == Code.LINE_SUSPENDED


async def test_a_line_that_ended_renews_nothing_any_more(charging: Engine, database_url: str) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price)
    await charging.post(asking(AutoRenew, line, product=product.code, price=product.price, wanted=True))
    await charging.accounts.set_status(line, LineStatus.TERMINATED, reason="test", by="alice")
    assert await charging.agreements.renew_due() == 1
    assert await charging.agreements.renewals(line) == []
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE renewal SET next_at = now() - interval '1 second'")
    assert await charging.agreements.renew_due() == 0
