"""Signing in: all three words, no word about which was wrong, cookies that go nowhere else."""

from __future__ import annotations

import pytest

from engine.words import Role
from tests.portal.console.conftest import Client, Console

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_has_name_password_and_code_gets_in_and_out_again(console: Console, client: Client) -> None:
    assert (await client.get(""))[0] == 302
    await client.sign_in(console.people[Role.SUPPORT])
    status, page = await client.get("")
    assert status == 200 and "support" in page
    assert await client.post("/sign-out") == (303, "/console/sign-in")
    assert (await client.get(""))[0] == 302
