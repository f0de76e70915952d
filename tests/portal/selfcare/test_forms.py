"""A form that had a problem is shown again with what was typed into it, but for secrets."""

from __future__ import annotations

import pytest

from tests.portal.selfcare.conftest import Caller, Running

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("page", "fields", "shown"),
    [
        (
            "/send",
            {"number": "0700", "unit": "octets", "amount": "7"},
            ['value="0700"', 'value="octets" selected', 'value="7"'],
        ),
        ("/recharge", {"voucher": "123"}, ['value="123"']),
        ("/settings/cap", {"which": "octets.day", "most": "lots"}, ['value="lots"']),
        ("/sign-in", {"number": "call me"}, ['value="call me"']),
    ],
)
async def test_a_form_that_had_a_problem_holds_what_was_typed(
    caller: Caller, page: str, fields: dict[str, str], shown: list[str]
) -> None:
    status, _, body = await caller.send(page.removesuffix("/cap"), page, **fields)
    assert status == 422
    assert [one for one in shown if one not in body] == []


async def test_a_pin_is_never_shown_again(caller: Caller) -> None:
    status, _, body = await caller.send("/settings", "/settings/pin", pin="8642", fresh="975310", again="1")
    assert status == 422 and not any(one in body for one in ("8642", "975310"))


async def test_what_was_wrong_with_a_pin_stands_where_its_form_does_and_the_page_opens_there(caller: Caller) -> None:
    _, _, body = await caller.send("/settings", "/settings/pin", pin="0000", fresh="8642", again="1")
    before, _, after = body.partition('<details class="card" id="change-pin" open>')
    told = 'class="notice bad"'
    assert told not in before and told in after.partition("</details>")[0]
    assert 'action="/portal/settings/pin#change-pin"' in after


async def test_what_was_wrong_with_a_limit_stands_above_its_field_which_has_the_focus(
    caller: Caller, server: Running
) -> None:
    owner = await server.line()
    await server.engine.create_line("+254712345099", None, "en", account=owner.account)
    wrong = {"which": "money.day", "most": "lots"}
    for page, action, more in (
        ("/settings", "/settings/cap", {}),
        ("/family", "/family/limit", {"line": owner.line_id.hex}),
    ):
        status, _, body = await caller.send(page, action, **wrong, **more)
        forms = [one for one in body.split("<form")[1:] if 'role="alert"' in one]
        assert status == 422 and len(forms) == body.count('role="alert"') == 1
        assert 'name="which" value="money.day"' in forms[0] and 'value="lots"' in forms[0]
        assert 'aria-describedby="wrong" autofocus' in forms[0] and all(one in forms[0] for one in more.values())


async def test_what_was_switched_is_said_by_name_and_leads_back_to_it(caller: Caller) -> None:
    _, _, body = await caller.send("/settings", "/settings/cap", which="octets.day", most="500")
    assert "Limit set. Ref" in body and 'href="/portal/usage"' in body
