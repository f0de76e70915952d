"""Advances, renewals, cards, and lines that share a balance."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.words import Subscriber, Unit
from sandbox.payments.server import PaymentsSandbox
from settings import PaymentGatewaySettings, Settings
from tests.portal.providers import ACCOUNTS
from tests.portal.selfcare.conftest import EXAMPLES, QATAR, Caller, Running, calling

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def settings(settings: Settings, sandbox: PaymentsSandbox, place: tuple[str, str, str], tmp_path: Path) -> Settings:
    """With Stripe at the sandbox, and an operator that lends to everybody."""
    options = {
        "base_url": f"{sandbox.base_url}/stripe",
        "secret_key": ACCOUNTS.stripe_secret_key,
        "webhook_secrets": (ACCOUNTS.stripe_webhook_secret,),
        "return_url": "http://127.0.0.1:9/portal",
    }
    gateway = PaymentGatewaySettings(adapter="stripe", options=options, callback_base="http://127.0.0.1:9")
    file = tmp_path / "operator.toml"
    written = (EXAMPLES / f"{place[0]}.toml").read_text()
    for name, value in (("balance_below", 10**9), ("line_days", 0), ("recharges", 0)):
        written = re.sub(rf"^{name} = .*$", f"{name} = {value}", written, flags=re.MULTILINE)
    file.write_text(written)
    return settings.model_copy(update={"operator": file, "payment_gateways": {"stripe": gateway}})


async def test_an_advance_is_shown_with_its_fee_taken_once_and_owed(server: Running, caller: Caller) -> None:
    before = (await server.line()).total(Unit.MONEY)
    _, page = await caller.get("/advance")
    assert "Fee KES 2.00: you pay back KES 22.00." in page
    form = {"once": "0" * 32, "offer": "2000+200"}
    status, path, body = await caller.send("/advance", "/advance", **form)
    assert status == 200 and path.startswith("/portal/outcome/") and "KES 22.00" in body
    # The same form again, as a double tap sends it.
    assert (await caller.send("/data", "/advance", **form))[1] == path
    assert (await server.line()).total(Unit.MONEY) == before + 2_000
    assert "You still owe KES 22.00" in (await caller.get("/advance"))[1]
    assert (await caller.send("/data", "/data/code"))[0] == 422


async def test_a_fee_that_was_not_shown_is_refused(server: Running, caller: Caller) -> None:
    before = (await server.line()).total(Unit.MONEY)
    _, _, body = await caller.send("/advance", "/advance", offer="2000+1")
    assert "Nothing was done" in body
    assert (await caller.send("/advance", "/advance", offer="2000"))[0] == 400
    assert (await server.line()).total(Unit.MONEY) == before


@pytest.mark.parametrize("place", [QATAR], indirect=True)
async def test_where_nothing_is_lent_or_given_the_pages_do_not_exist(caller: Caller, server: Running) -> None:
    lends = server.services.operator.advances is not None
    assert ((await caller.get("/advance"))[0] == 200) == lends
    assert (await caller.get("/send"))[0] == 404


async def test_a_bundle_renews_itself_until_it_is_stopped(server: Running, caller: Caller) -> None:
    product = server.services.operator.products[0]
    form = {"product": product.code, "price": str(product.price)}
    await caller.send("/renewals", "/renewals", **form, wanted="yes")
    ((code, price, _),) = await server.engine.agreements.renewals(await server.line())
    assert (code, price) == (product.code, product.price)
    await caller.send("/renewals", "/renewals", **form, wanted="no")
    assert await server.engine.agreements.renewals(await server.line()) == []
    assert (await caller.send("/renewals", "/renewals", product="x", price="1", wanted="yes"))[0] == 400


async def saved(server: Running) -> str:
    """A card of the line, and its value in the form."""
    ends = datetime.now(UTC) + timedelta(days=365)
    line = await server.line()
    card = await server.engine.cards.save(
        line, "stripe", "cus_test/pm_card_visa", brand="Visa", last_four="4242", expires_at=ends
    )
    return card.card_id.hex


async def test_a_saved_card_pays_and_can_be_forgotten(server: Running, caller: Caller) -> None:
    card = await saved(server)
    before = (await server.line()).total(Unit.MONEY)
    _, page = await caller.get("/pay")
    assert "4242" in page and f'value="{card}"' in page
    status, path, body = await caller.send("/pay", "/pay", quick="10000", amount="", way=card)
    assert status == 200 and path.startswith("/portal/payments/") and "Paid and credited." in body
    assert (await server.line()).total(Unit.MONEY) == before + 10_000
    # Who shares the account is not shown what its owner paid.
    async with calling(server, (await relatives(server)).msisdn) as member:
        assert (await member.get(path.removeprefix("/portal")))[0] == 404
        assert json.loads(await member.data("/data/export.json"))["payments"] == []
    assert len(json.loads(await caller.data("/data/export.json"))["payments"]) == 1
    await caller.send("/cards", "/cards/forget", card=card)
    assert await server.engine.saved_cards(await server.line()) == []
    assert "4242" not in (await caller.get("/cards"))[1]


async def test_a_card_whose_bank_wants_to_see_the_payer_shows_the_link_to_it(
    server: Running, caller: Caller, sandbox: PaymentsSandbox
) -> None:
    card = await saved(server)
    async with caller.http.post(f"{sandbox.base_url}/script", json={"play": "action", "face": "stripe"}) as answer:
        assert answer.status == 200
    _, path, body = await caller.send("/pay", "/pay", amount="50", way=card)
    (link,) = re.findall(rf'href="({re.escape(sandbox.base_url)}/act/stripe/[^"]+)"', body)
    # Nobody else is shown it.
    async with calling(server, server.services.operator.demo.subscribers[1].msisdn) as other:
        assert (await other.get(path.removeprefix("/portal")))[0] == 404
    async with caller.http.post(link, data={"yes": "1"}) as answer:
        assert answer.status == 200


async def relatives(server: Running) -> Subscriber:
    """A second line on the account."""
    owner = await server.line()
    return await server.engine.create_line("+254712345099", None, "en", account=owner.account)


async def test_the_owner_limits_another_line_of_the_account_and_nobody_else_does(
    server: Running, caller: Caller
) -> None:
    child = await relatives(server)
    form = {"line": child.line_id.hex, "which": "octets.day", "most": "50"}
    status, path, page = await caller.send("/family", "/family/limit", **form)
    assert status == 200 and path.startswith("/portal/outcome/") and 'href="/portal/family"' in page
    rules = await server.engine.usage.spending_rules(child)
    assert [one.day_cap for one in rules.meters if one.unit is Unit.OCTETS] == [50_000_000]
    assert not any(one.day_cap for one in (await server.engine.usage.spending_rules(await server.line())).meters)
    async with calling(server, child.msisdn) as member:
        _, page = await member.get("/family")
        assert child.msisdn in page and server.msisdn not in page and "/portal/family/limit" not in page
        assert (await member.send("/settings", "/family/limit", **form, once="1" * 32))[0] == 403
        _, _, page = await member.send("/settings", "/settings/cap", which="octets.day", most="", once="2" * 32)
        assert "Only they can raise it." in page
    assert (await server.engine.usage.spending_rules(child)).meters == rules.meters
    stranger = await server.engine.subscriber(server.services.operator.demo.subscribers[1].msisdn)
    assert (await caller.send("/family", "/family/limit", **{**form, "line": stranger.line_id.hex}))[0] == 400
