"""A form that had a problem is shown again with what was typed into it, but for secrets."""

from __future__ import annotations

import pytest

from tests.portal.selfcare.conftest import Caller

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


@pytest.mark.parametrize(
    ("action", "fields", "section"),
    [
        ("/settings/cap", {"which": "octets.day", "most": "lots"}, "limits"),
        (
            "/settings/pin",
            {"pin": "0000", "fresh": "8642", "again": "1"},
            "change-pin",
        ),
    ],
)
async def test_what_was_wrong_stands_where_the_form_does_and_the_page_opens_there(
    caller: Caller, action: str, fields: dict[str, str], section: str
) -> None:
    _, _, body = await caller.send("/settings", action, **fields)
    before, _, after = body.partition(f'<details class="card" id="{section}" open>')
    told = '<p class="notice bad" role="alert">'
    assert told not in before and told in after.partition("</details>")[0]
    assert f'action="/portal{action}#{section}"' in after


async def test_what_was_switched_is_said_by_name_and_leads_back_to_it(caller: Caller) -> None:
    _, _, body = await caller.send("/settings", "/settings/cap", which="octets.day", most="500")
    assert "Limit set. Ref" in body and 'href="/portal/usage"' in body
