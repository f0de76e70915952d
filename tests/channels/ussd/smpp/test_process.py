"""``bot.py`` as a process, with a USSD centre in its settings."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from channels.smpp.names import Status
from engine.api import Engine
from runtime.embedded.process import free_port
from tests.channels.phone import FACE_VALUE, money
from tests.channels.servers import ROOT, ready, running
from tests.channels.ussd.smpp.conftest import Handset
from tests.doubles.smsc import Smsc


def configured(folder: Path, *options: str) -> Path:
    """A settings file with one centre, and one gateway that calls over HTTP."""
    lines = [
        f'operator = "{ROOT / "examples" / "kenya.toml"}"',
        "[keys]",
        f'1 = "{bytes(range(32)).hex()}"',
        "[gateways.centre]",
        'adapter = "smpp"',
        "[gateways.centre.options]",
        'host = "127.0.0.1"',
        'system_id = "rasid"',
        'password = "secret"',
        *options,
        "[gateways.truroute]",
        'adapter = "truroute"',
    ]
    path = folder / "rasid.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url}


async def test_two_bots_bound_to_one_centre_serve_one_session(
    *, smsc: Smsc, environment: dict[str, str], tmp_path: Path, engine: Engine, line: str, vouchers: list[str]
) -> None:
    environment |= {"RASID_CONFIG": str(configured(tmp_path, f"port = {smsc.port}"))}
    async with running("bot.py", environment), running("bot.py", environment):
        await smsc.until(lambda: len(smsc.connections) == 2 and len(smsc.seen) >= 2)
        handset = Handset(smsc)
        for place, text in enumerate(("*123#", "2", vouchers[0], "1")):
            message = handset.typed(text)
            # The session's messages come over one line and the other in turn.
            assert (await handset.deliver(message, smsc.connections[place % 2])).status == 0
            await smsc.until(lambda count=place + 1: len(smsc.submitted) == count)  # type: ignore[misc]
    assert await money(engine) == FACE_VALUE


async def test_the_server_serves_its_own_gateways_and_leaves_the_centre_to_the_bot(
    smsc: Smsc, environment: dict[str, str], tmp_path: Path, line: str
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    config = configured(tmp_path, f"port = {smsc.port}")
    environment |= {"RASID_CONFIG": str(config), "PORT": str(port), "RASID_HOST": "127.0.0.1"}
    async with running("ussd_server.py", environment) as server, aiohttp.ClientSession() as http:
        await ready(server, http, base)
        async with http.post(f"{base}/ussd/centre", data=b"") as response:
            assert response.status == 404
        async with http.post(f"{base}/ussd/truroute", data=b"") as response:
            assert response.status == 400
        assert smsc.connects == 0


async def test_the_bot_s_probe_tells_which_centre_is_not_bound(
    smsc: Smsc, environment: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    config = configured(tmp_path, f"port = {smsc.port}")
    environment |= {"RASID_CONFIG": str(config), "RASID_BOT_PORT": str(port), "RASID_HOST": "127.0.0.1"}
    async with running("bot.py", environment) as bot, aiohttp.ClientSession() as http:
        await smsc.until(lambda: smsc.connections)
        async with asyncio.timeout(10):
            while (said := await ready(bot, http, base))["status"] != "ok":
                pass
        assert said["parts"]["gateways"]["gateways"] == {"centre": "connected"}
        smsc.bind_status = Status.RINVPASWD
        smsc.connections[0].drop()
        await smsc.until(lambda: smsc.connects == 2)
        async with asyncio.timeout(10):
            while (said := await ready(bot, http, base))["status"] == "ok":
                pass
        assert (said["status"], said["parts"]["gateways"]["gateways"]) == ("degraded", {"centre": "not connected"})


async def test_a_wrong_option_is_named_and_nothing_is_bound(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"RASID_CONFIG": str(configured(tmp_path, 'dialect = "klingon"'))}
    async with running("bot.py", environment) as bot:
        _, said = await asyncio.wait_for(bot.communicate(), 60)
    assert bot.returncode == 2
    assert b"gateways.centre.options.dialect" in said
