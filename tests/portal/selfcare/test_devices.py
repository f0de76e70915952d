"""Where a line is signed in, and the chats that are linked to it."""

from __future__ import annotations

import re

import pytest

from portal.selfcare.devices import device_name
from tests.portal.selfcare.conftest import Caller, Running, calling

looped = pytest.mark.asyncio(loop_scope="session")


@looped
async def test_another_session_is_seen_and_can_be_ended_from_here(server: Running, caller: Caller) -> None:
    async with calling(server) as phone:
        _, page = await caller.get("/devices")
        assert page.count("Chrome · Android") >= 2
        (other,) = re.findall(r'name="device" value="([0-9a-f]{40})"', page)
        await caller.send("/devices", "/devices/end", device=other)
        async with phone.http.get(f"{server.url}/portal") as answer:
            assert answer.url.path == "/portal/sign-in"
    assert (await caller.get("/devices"))[0] == 200


@looped
async def test_nobody_ends_a_session_of_another_line(server: Running, caller: Caller) -> None:
    async with calling(server) as phone:
        (theirs,) = re.findall(r'name="device" value="([0-9a-f]{40})"', (await caller.get("/devices"))[1])
        async with calling(server, server.services.operator.demo.subscribers[1].msisdn) as stranger:
            await stranger.send("/devices", "/devices/end", device=theirs)
            assert (await stranger.send("/devices", "/devices/end", device="../x"))[0] == 400
        assert (await phone.get(""))[0] == 200
        await caller.send("/devices", "/devices/others")
        assert "Chrome" in (await caller.get("/devices"))[1]


@looped
async def test_a_linked_chat_is_seen_and_can_be_unlinked(server: Running, caller: Caller) -> None:
    code = await server.engine.link_code(await server.line())
    assert await server.engine.link_chat("telegram", "4711", server.msisdn, code)
    assert "Telegram" in (await caller.get("/devices"))[1]
    await caller.send("/devices", "/devices/unlink", app="telegram")
    assert await server.engine.chats(await server.line()) == {}
    assert "No chat is linked" in (await caller.get("/devices"))[1]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36", "Chrome · Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari · iPhone"),
        ("Mozilla/5.0 (Mobile; rv:48.0; KAIOS/2.5) Gecko/48.0 Firefox/48.0", "Firefox · KaiOS"),
        ("<script>", ""),
    ],
)
def test_of_a_browser_only_its_name_and_system_are_kept(agent: str, name: str) -> None:
    assert device_name(agent) == name
