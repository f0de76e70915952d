"""freeDiameter, which others wrote, stands between the packet gateway and us, as a routing agent does in a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.words import Adjust, Subscriber, Unit
from network.changes import Changes
from runtime.embedded.process import free_port
from settings import DiameterSettings
from tests.engine.shop import asking
from tests.network.diameter.conftest import MB, House, Pcef, gateway

pytestmark = pytest.mark.needs("freeDiameterd")

RELAY = "dra.test.example"


@pytest.fixture
def diameter_settings(diameter_settings: DiameterSettings) -> DiameterSettings:
    """The relay is the peer; whose requests it passes on it does not say."""
    (peer,) = diameter_settings.peers.values()
    return diameter_settings.model_copy(update={"peers": {RELAY: peer}})


def credentials(folder: Path) -> tuple[Path, Path]:
    """It does not start without a certificate, though nothing is encrypted here."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, RELAY)])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(*private))
    return paths


@pytest.fixture
async def relay(house: House, tmp_path: Path) -> AsyncIterator[int]:
    """Its port, once it is connected to us."""
    port, (certificate, key) = free_port(), credentials(tmp_path)
    (tmp_path / "acl").write_text("ALLOW_OLD_TLS ALLOW_IPSEC *.test.example\n")
    (tmp_path / "relay.conf").write_text(f"""
        Identity = "{RELAY}"; Realm = "test.example"; Port = {port}; SecPort = 0; ListenOn = "127.0.0.1";
        No_SCTP; No_IPv6;
        TLS_Cred = "{certificate}", "{key}"; TLS_CA = "{certificate}";
        LoadExtension = "acl_wl.fdx" : "{tmp_path / "acl"}";
        ConnectPeer = "ocs.rasid.example" {{ ConnectTo = "127.0.0.1"; Port = {house.port}; No_TLS; }};
    """)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "freeDiameterd", "-c", str(tmp_path / "relay.conf"), stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while b"'STATE_OPEN'" not in await process.stdout.readline():
            assert process.returncode is None
    draining = asyncio.create_task(process.stdout.read())
    yield port
    process.kill()
    await process.wait()
    await draining


@pytest.fixture
async def pcef(relay: int) -> AsyncIterator[Pcef]:
    """A packet gateway that knows the relay only."""
    async with gateway(relay, RELAY) as made:
        yield made


async def test_a_session_over_a_relay_is_charged_and_asked_to_ask_again(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    worker = Changes(house.engine, "diameter", house.server.tell)
    while await worker.tell_due():
        continue
    who = {"session": "pgw.test.example;7;7", "subscriber": [[0, line.msisdn.removeprefix("+")]]}
    opened = await pcef.ask(type=1, number=0, services=[{"group": 10, "asks": {}}], **who)
    assert (opened["result"], opened["services"][0]["result"]) == (2001, 2001)
    used = [{"group": 10, "used": {"cc_total_octets": 100 * MB}}]
    first = await pcef.ask(type=2, number=1, services=used, **who)
    again = await pcef.ask(type=2, number=1, services=used, again=True, **who)
    assert first["bytes"] == again["bytes"] and await house.left(line) == 0
    refused = await pcef.ask(session="x", type=1, number=0, subscriber=[[0, "254799999999"]])
    assert (refused["result"], refused["session"], refused["number"]) == (5030, "x", 0)
    await house.engine.post(asking(Adjust, line, unit=Unit.OCTETS, amount=MB, reason="paid"))
    while await worker.tell_due():
        continue
    assert await asyncio.wait_for(pcef.heard.get(), 5) == {"heard": "RAR", "session": "pgw.test.example;7;7"}
