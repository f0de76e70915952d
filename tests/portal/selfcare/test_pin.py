"""Where the operator asks for the PIN, every form of the portal asks for it, and does nothing without the right one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.words import Unit
from settings import Settings
from tests.portal.selfcare.conftest import EXAMPLES, Caller, Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL = '["purchase", "recharge", "payment", "transfer", "advance", "setting"]'
PIN = "8642"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Of an operator that asks for the PIN before everything."""
    file = tmp_path / "operator.toml"
    written = (EXAMPLES / "kenya.toml").read_text()
    written = re.sub(r"^required_for = .*$", f"required_for = {ALL}", written, flags=re.MULTILINE)
    file.write_text(written)
    return settings.model_copy(update={"operator": file})


async def test_a_wrong_pin_does_nothing_and_is_told_in_its_own_form(server: Running, caller: Caller) -> None:
    line = await server.line()
    await server.engine.set_pin(line, PIN)
    await server.engine.create_line("+254712345099", None, "en", account=line.account)
    product, other = server.services.operator.products[0], server.services.operator.demo.subscribers[1].msisdn
    gift = {"number": other, "unit": "money", "amount": "10"}
    _, _, confirm = await caller.send("/send", "/send", **gift)
    (fee,) = re.findall(r'name="fee" value="(\d+)"', confirm)
    await caller.send("/send", "/send/now", **gift, fee=fee, once="1" * 32, pin=PIN)
    (given,) = re.findall(r'name="gift" value="([0-9a-f]{32})"', (await caller.get("/send"))[1])
    before = (await server.line()).total(Unit.MONEY)
    forms = [
        ("/send", "/send/back", {"gift": given}),
        ("/renewals", "/renewals", {"product": product.code, "price": str(product.price), "wanted": "yes"}),
        ("/settings", "/settings/beyond", {"allowed": ""}),
        ("/settings", "/settings/cap", {"which": "octets.day", "most": "7"}),
        ("/family", "/family/limit", {"which": "octets.day", "most": "7", "line": line.line_id.hex}),
    ]
    for page, action, fields in forms:
        _, _, body = await caller.send(page, action, **fields, pin="0000")
        assert body.count('role="alert"') == 1, action
        (told,) = (one.partition("</form>")[0] for one in body.split("<form") if 'role="alert"' in one)
        assert f'action="/portal{action}' in told and 'name="pin"' in told, action
        assert all(f'name="{name}"' in told and value in told for name, value in fields.items()), action
        ids = re.findall(r' id="([^"]+)"', body)
        assert len(ids) == len({*ids}), action
    assert (await server.line()).total(Unit.MONEY) == before
    assert await server.engine.agreements.renewals(line) == []
    assert not any(one.day_cap for one in (await server.engine.usage.spending_rules(line)).meters)
