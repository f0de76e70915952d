"""FreeRADIUS's own client, which others wrote, drives the server."""

from __future__ import annotations

import asyncio
import re

import pytest

from engine.words import Subscriber
from tests.network.radius.conftest import House
from tests.network.radius.nas import SECRET

pytestmark = pytest.mark.needs("radclient")

GB = 1_000_000_000


async def radclient(
    port: int, packets: str, *options: str, kind: str = "acct", secret: str = SECRET
) -> tuple[int, str]:
    """Run it over packets in its own notation; its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "radclient", *options, f"127.0.0.1:{port}", kind, secret,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate(packets.encode())
    assert process.returncode is not None
    return process.returncode, said.decode()


def packet(line: Subscriber, status: str, session: str = "ab12", **more: object) -> str:
    said = {
        "User-Name": line.msisdn.removeprefix("+"), "NAS-IP-Address": "192.0.2.7", "Acct-Session-Id": session,
        "Acct-Status-Type": status, **{name.replace("_", "-"): value for name, value in more.items()},
    }  # fmt: skip
    return "\n".join(f"{name} = {value}" for name, value in said.items()) + "\n\n"


async def test_a_session_from_start_to_stop_is_accepted_and_charged(house: House, line: Subscriber) -> None:
    packets = (
        packet(line, "Start"),
        packet(line, "Interim-Update", Acct_Input_Octets=1000, Acct_Output_Octets=2000),
        packet(line, "Stop", Acct_Input_Octets=5000, Acct_Output_Octets=6000, Acct_Output_Gigawords=1),
    )
    for one in packets:
        status, said = await radclient(house.port, one, "-x")
        assert status == 0 and "Received Accounting-Response" in said
    assert 10 * GB - await house.left(line) == 11_000 + 2**32


async def test_many_packets_at_once_are_all_answered_and_charged_once_each(house: House, line: Subscriber) -> None:
    packets = "".join(packet(line, "Stop", session=f"s{number}", Acct_Output_Octets=1000) for number in range(200))
    status, said = await radclient(house.port, packets, "-p", "50", "-s", "-q")
    assert status == 0
    assert re.search(r"Accepted\s*:\s*200", said) and re.search(r"Lost\s*:\s*0", said)
    assert 10 * GB - await house.left(line) == 200_000


async def test_it_sends_again_until_it_is_answered_and_is_charged_once(house: House, line: Subscriber) -> None:
    await radclient(house.port, packet(line, "Stop", Acct_Output_Octets=1000), "-c", "5")
    assert 10 * GB - await house.left(line) == 1000


async def test_a_wrong_secret_gets_no_answer(house: House, line: Subscriber) -> None:
    status, said = await radclient(house.port, packet(line, "Start"), "-r", "1", "-t", "1", secret="wrong")
    assert status != 0 and "Received" not in said
    assert house.counted("unread", "bad_secret") >= 1


async def test_who_asks_whether_we_are_there_is_answered(house: House) -> None:
    status, said = await radclient(house.port, "Message-Authenticator = 0x00\n", "-x", kind="status")
    assert status == 0, said
