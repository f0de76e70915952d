"""Taking one's data along, and leaving."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from engine.words import Charge, Unit, UnknownLine
from tests.portal.selfcare.conftest import Caller, Running, calling, spend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_file_holds_all_that_the_books_hold_of_the_account(server: Running, caller: Caller) -> None:
    await spend(server, Charge, unit=Unit.OCTETS, amount=7_000_000)
    data = json.loads(await caller.data("/data/export.json"))
    line = await server.line()
    assert data["line"]["number"] == server.msisdn
    assert sum(one["amount"] for one in data["balances"] if one["unit"] == "money") == line.total(Unit.MONEY)
    kept = await server.engine.operations(line.account, most=100)
    assert [one["key"] for one in data["history"]] == [str(one.answer.key) for one in kept]
    assert [one["used"] for one in data["usage"]] == [7_000_000]
    assert data["payments"] == [] and data["settings"]["messages"]["opted_out"] is False


async def test_who_shares_an_account_sees_what_their_own_line_did_and_its_owner_sees_all(
    server: Running, caller: Caller
) -> None:
    owner = await server.line()
    child = await server.engine.create_line("+254712345099", None, "en", account=owner.account)
    await server.engine.set_language(child, "en")
    mine = uuid4()
    asked = {"account": owner.account, "line_id": child.line_id, "key": mine, "source": "test"}
    answer = await server.engine.post(Charge(**asked, asked_at=datetime.now(UTC), unit=Unit.OCTETS, amount=1_000_000))
    assert answer.ok
    theirs = [one.answer for one in await server.engine.operations(owner.account, line_id=owner.line_id)]
    bought = next(one for one in theirs if one.kind == "purchase")
    paths = [f"/outcome/{bought.key}", f"/receipts/{bought.key}", f"/receipts/{bought.key}.json"]
    async with calling(server, child.msisdn) as member:
        data = json.loads(await member.data("/data/export.json"))
        assert [one["key"] for one in data["history"]] == [str(mine)]
        for page in ("/history", "/history.csv", "/receipts"):
            said = (await member.get(page))[1]
            assert not any(one.reference in said for one in theirs), page
        assert answer.reference in (await member.get("/history"))[1]
        assert [(await member.get(path))[0] for path in (*paths, f"/outcome/{mine}")] == [404] * 3 + [200]
    assert [(await caller.get(path))[0] for path in (*paths, f"/outcome/{mine}")] == [200] * 4
    assert answer.reference in (await caller.get("/history"))[1]


async def erasure_code(server: Running) -> str:
    """The code that was texted last."""
    for _ in range(200):
        found = [one for text in await server.texts() for one in re.findall(r"^(\d{6}) deletes", text)]
        if found:
            return found[-1]
        await asyncio.sleep(0.05)
    raise AssertionError("no code was texted")


async def test_only_the_texted_code_deletes_and_then_nothing_leads_to_the_person(
    server: Running, caller: Caller
) -> None:
    account = (await server.line()).account
    status, path, _ = await caller.send("/data", "/data/code")
    assert (status, path) == (200, "/portal/data/erase")
    code = await erasure_code(server)
    wrong = "000000" if code != "000000" else "000001"
    assert (await caller.send("/data/erase", "/data/erase", code=wrong, sure="yes"))[0] == 422
    assert (await caller.send("/data/erase", "/data/erase", code=code))[0] == 422
    assert (await server.line()).account == account
    status, path, body = await caller.send("/data/erase", "/data/erase", code=code, sure="yes")
    assert (status, path) == (200, "/portal/sign-in") and "deleted" in body
    with pytest.raises(UnknownLine):
        await server.line()
    async with caller.http.get(f"{server.url}/portal") as answer:
        assert answer.url.path == "/portal/sign-in"
    # The books stay whole: what was booked is still there, and that the line's sessions end.
    booked = {one.answer.kind for one in await server.engine.operations(account)}
    assert booked == {"adjust", "purchase", "release_overdue"}


async def test_a_line_that_shares_an_account_cannot_delete_it(server: Running) -> None:
    owner = await server.line()
    await server.engine.create_line("+254712345099", None, "en", account=owner.account)
    async with calling(server, "+254712345099") as member:
        assert "/portal/data/code" not in (await member.get("/data"))[1]
        assert (await member.send("/data", "/data/code"))[0] == 422
    assert await server.texts("+254712345099") == []
