"""The carrier on its way out: what a refusal means, parts that are not sent twice, options, TLS."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.smpp.names import Command, Status
from channels.sms.contract import CarrierError, ErrorKind, Tools, WrongOptions
from channels.sms.smpp.carrier import Carrier
from tests.channels.smpp.conftest import text
from tests.doubles.smsc import Smsc

LONG = "a" * 153 + "b" * 153 + "c" * 10


async def refusal(sending) -> CarrierError:
    with pytest.raises(CarrierError) as refused:
        await sending
    return refused.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.RTHROTTLED, ErrorKind.THROTTLED),
        (Status.RSYSERR, ErrorKind.RETRY),
        (Status.RX_T_APPN, ErrorKind.RETRY),
        (Status.RINVDSTADR, ErrorKind.PERMANENT),
        (Status.RINVMSGLEN, ErrorKind.PERMANENT),
        (Status.RX_P_APPN, ErrorKind.PERMANENT),
        (Status.RPROHIBITED, ErrorKind.REROUTE),
        (Status.RINVBNDSTS, ErrorKind.RETRY),
        (0x04FF, ErrorKind.RETRY),
    ],
)
async def test_each_status_means_what_the_policy_says(smsc: Smsc, carrier, status: int, kind: ErrorKind) -> None:
    smsc.on_submit = lambda *_: status
    one = await carrier(smsc.port)
    assert (await refusal(one.send(text("hello")))).kind is kind


@pytest.mark.parametrize("status", [Status.RSUBMITFAIL, Status.RUNKNOWNERR])
async def test_what_hardly_passes_is_tried_once_more(smsc: Smsc, carrier, status: int) -> None:
    smsc.on_submit = lambda *_: status
    one = await carrier(smsc.port)
    message = text("hello")
    assert [(await refusal(one.send(message))).kind for _ in range(2)] == [ErrorKind.RETRY, ErrorKind.PERMANENT]
    assert (await refusal(one.send(text("another")))).kind is ErrorKind.RETRY


async def test_a_lost_answer_is_unknown(smsc: Smsc, carrier) -> None:
    smsc.on_submit = lambda connection, *_: connection.drop()
    one = await carrier(smsc.port)
    assert (await refusal(one.send(text("hello")))).kind is ErrorKind.UNKNOWN
    smsc.on_submit = lambda *_: None
    slow = await carrier(smsc.port, answer_seconds=1)
    failed = await refusal(slow.send(text("hello")))
    assert (failed.kind, failed.reason) == (ErrorKind.UNKNOWN, "no_answer")


async def test_without_a_link_a_text_is_tried_again(carrier, unused_tcp_port: int) -> None:
    one = await carrier(unused_tcp_port, bound=False)
    failed = await refusal(one.send(text("hello")))
    assert (failed.kind, failed.reason) == (ErrorKind.RETRY, "link_connecting")


async def test_a_text_tried_again_goes_on_where_it_stopped(smsc: Smsc, carrier) -> None:
    smsc.on_submit = lambda _connection, _pdu, before: Status.RSYSERR if before == 1 else 0
    one = await carrier(smsc.port)
    message = text(LONG)
    assert (await refusal(one.send(message))).kind is ErrorKind.RETRY
    assert (await one.send(message)).carrier_id == "4"
    bodies = [pdu.body for pdu in smsc.submitted]
    assert [body.short_message[5] for body in bodies] == [1, 2, 2, 3]
    assert len({body.short_message[3] for body in bodies}) == 1
    # A new text begins anew.
    await one.send(text(LONG))
    assert [pdu.body.short_message[5] for pdu in smsc.submitted[4:]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sender", "kind"), [("Rasid", (5, 0)), ("20880", (3, 0)), ("+254700000000", (1, 1)), ("254700000000", (1, 1))]
)
async def test_a_sender_is_typed_by_what_it_looks_like(smsc: Smsc, carrier, sender: str, kind) -> None:
    one = await carrier(smsc.port)
    await one.send(text("hello", sender=sender))
    body = smsc.submitted[0].body
    assert (body.source_addr_ton, body.source_addr_npi) == kind
    assert (body.source_addr, body.dest_addr_ton, body.dest_addr_npi) == (sender.removeprefix("+"), 1, 1)


async def test_what_does_not_fit_the_protocol_is_refused_for_good(smsc: Smsc, carrier) -> None:
    one = await carrier(smsc.port)
    for message in (text("hello", sender="رصيد"), text("hello", to="+" + "2" * 30), text("a" * 153 * 256)):
        assert (await refusal(one.send(message))).kind is ErrorKind.PERMANENT
    assert smsc.submitted == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"password": "ninechars"}, "password"),
        ({"system_id": ""}, "system_id"),
        ({"windw": 5}, "windw"),
        ({"statuses": "0x1=never"}, "statuses"),
        ({"version": "3.3"}, "version"),
        ({"tls": True, "ca_file": "/nowhere"}, "ca_file"),
        ({"validity_period": "1 day"}, "validity_period"),
    ],
)
def test_wrong_options_are_refused_by_name_and_never_shown(redis_client, keyring, options, named: str) -> None:
    given = {"host": "localhost", "system_id": "rasid", "password": "geheim", **options}
    with pytest.raises(WrongOptions) as refused:
        Carrier("centre", given, Tools(redis=redis_client, keyring=keyring))
    assert [name for name, _ in refused.value.problems] == [named]
    assert "geheim" not in str(refused.value.problems) and "ninechars" not in str(refused.value.problems)


def certificate(folder: Path) -> tuple[Path, Path]:
    """One for 127.0.0.1 that has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smsc")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(1)).not_valid_after(
        datetime.now(UTC) + timedelta(1)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    made = builder.sign(key, hashes.SHA256())
    pem, secret = folder / "smsc.pem", folder / "smsc.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


async def test_tls_is_spoken_to_whom_we_trust_and_to_nobody_else(carrier, tmp_path: Path) -> None:
    pem, secret = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, secret)
    centre = Smsc(tls=context)
    await centre.start()
    try:
        one = await carrier(centre.port, tls=True, ca_file=str(pem))
        assert (await one.send(text("hello"))).carrier_id == "1"
        await one.close()
        stranger = await carrier(centre.port, tls=True, bound=False)
        assert not await stranger.bound(0.5)
        assert centre.count(Command.BIND_TRANSCEIVER) == 1
    finally:
        await centre.stop()
