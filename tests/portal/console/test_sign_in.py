"""Signing in: all three words, no word about which was wrong, sessions that end, cookies that go nowhere else."""

from __future__ import annotations

import re
import time

import pytest
from redis.asyncio import Redis

from engine.words import Role
from portal.base.sessions import Sessions
from portal.console.desk import Present
from portal.console.sign_in import BY_NAME
from runtime.keyring import Keyring
from tests.portal.console.codes import code_of
from tests.portal.console.conftest import Client, Console

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: what differs between two pages that say the same: the session's token, and the name that was typed
OWN = re.compile(r'name="form" value="[0-9a-f]+"|id="name"[^>]*>')


async def test_who_has_name_password_and_code_gets_in_and_out_again(console: Console, client: Client) -> None:
    assert (await client.get(""))[0] == 302
    person = console.people[Role.SUPPORT]
    await client.get("/sign-in")
    before = {one.value for one in client.http.cookie_jar}
    data = {"form": client.token, "name": person.name, "password": person.password, "code": code_of(person)}
    async with client.http.post(f"{client.url}/sign-in", data=data, allow_redirects=False) as answer:
        assert answer.status == 303
        cookie = next(one for one in answer.headers.getall("Set-Cookie") if one.startswith("rasid_console="))
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert not before & {one.value for one in client.http.cookie_jar if one.key == "rasid_console"}
    status, page = await client.get("")
    assert status == 200 and "support" in page
    assert await client.post("/sign-out") == (303, "/console/sign-in")
    assert (await client.get(""))[0] == 302


async def test_whatever_is_wrong_the_answer_is_the_same_and_too_many_tries_end_it(
    console: Console, client: Client
) -> None:
    person = console.people[Role.FINANCE]
    await client.get("/sign-in")
    tries = {
        "password": {"name": person.name, "password": "wrong", "code": code_of(person)},
        "code": {"name": person.name, "password": person.password, "code": "000000"},
        "name": {"name": "nobody", "password": person.password, "code": code_of(person)},
    }
    await console.engine.staff.disable(Role.AUDITOR.value, by="root", why="test")
    auditor = console.people[Role.AUDITOR]
    tries["disabled"] = {"name": auditor.name, "password": auditor.password, "code": code_of(auditor)}
    answers = {what: await client.post("/sign-in", **fields) for what, fields in tries.items()}
    assert {status for status, _ in answers.values()} == {422}
    assert len({OWN.sub("", page) for _, page in answers.values()}) == 1
    for _ in range(BY_NAME):
        status, page = await client.post("/sign-in", name="nobody2", password="x", code="1")
    assert status == 422 and "Too many tries" not in page
    assert "Too many tries" in (await client.post("/sign-in", name="nobody2", password="x", code="1"))[1]


async def test_a_session_ends_when_nobody_comes_and_in_any_case_after_its_longest_time(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        keyring = Keyring({1: bytes(32)})
        sessions = Sessions(redis, keyring, "console", Present(began_at=0), idle=900, longest=36_000)
        young = await sessions.begin(Present(began_at=time.time() - 35_000, staff_id="aa"))
        old = await sessions.begin(Present(began_at=time.time() - 36_001, staff_id="aa"))
        (name, *_) = await redis.keys("page:*")
        assert 0 < await redis.ttl(name) <= 900
        assert await sessions.find(young.cookie) is not None
        assert await sessions.find(old.cookie) is None
        other = Sessions(redis, keyring, "portal", Present(began_at=0))
        assert await other.find(young.cookie) is None
