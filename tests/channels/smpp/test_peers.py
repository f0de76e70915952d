"""Against message centres that others wrote: npm smpp, Perl's Net::SMPP, smpp34's server."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import smpp34

from channels.smpp.client.link import LinkState
from channels.smpp.text import Alphabet, decode_text
from channels.sms.contract import CarrierError, DeliveryState, ErrorKind
from tests.channels.smpp.conftest import Books, text
from tests.peers.processes import NpmSmsc, PerlSmsc
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
LONG = "Your balance is 120.00 KES until 3 March. " * 9
LONG_ARABIC = "رصيدك 120.00 حتى 3 مارس. " * 7

needs_node = pytest.mark.needs("node")


# --- npm smpp ---


@needs_node
@pytest.mark.parametrize(
    ("options", "modes"),
    [({}, {"transceiver"}), ({"bind": "separate"}, {"transmitter", "receiver"}), ({"version": "5.0"}, {"transceiver"})],
)
async def test_npm_takes_every_way_to_bind(npm: NpmSmsc, carrier, options, modes) -> None:
    one = await carrier(npm.port, **options)
    await npm.wait("bind", len(modes))
    assert {event["mode"] for event in npm.all("bind")} == modes
    assert {event["version"] for event in npm.all("bind")} == {0x50 if options.get("version") == "5.0" else 0x34}
    assert (await one.send(text("hello"))).carrier_id == "42"
    await one.close()
    await npm.wait("unbind", len(modes))


@needs_node
async def test_who_listens_to_nothing_binds_as_transmitter(npm: NpmSmsc, carrier) -> None:
    await carrier(npm.port, listens=False)
    await npm.wait("bind")
    assert [event["mode"] for event in npm.all("bind")] == ["transmitter"]


@needs_node
@pytest.mark.parametrize(("words", "coding"), [("Solde: 5 €", 0), ("Forêt", 3), ("رصيدك 120", 8), ("😀", 8)])
async def test_npm_reads_what_we_write(npm: NpmSmsc, carrier, words: str, coding: int) -> None:
    one = await carrier(npm.port)
    await one.send(text(words))
    got = await npm.wait("submit")
    assert (got["text"], got["data_coding"], got["registered"], got["to"]) == (words, coding, 1, "254712000001")


@needs_node
@pytest.mark.parametrize("words", [LONG, LONG_ARABIC])
async def test_npm_puts_together_long_texts_with_headers(npm: NpmSmsc, carrier, words: str) -> None:
    one = await carrier(npm.port)
    await one.send(text(words))
    parts = npm.all("submit")
    assert len(parts) == 3
    headers = [bytes.fromhex("".join(part["udh"])) for part in parts]
    assert [header[:2] for header in headers] == [b"\x00\x03"] * 3
    assert [(header[3], header[4]) for header in headers] == [(3, 1), (3, 2), (3, 3)]
    assert len({header[2] for header in headers}) == 1
    assert "".join(part["text"] for part in parts) == words
    assert [part["registered"] for part in parts] == [0, 0, 1]


@needs_node
async def test_npm_puts_together_long_texts_with_sar(npm: NpmSmsc, carrier) -> None:
    one = await carrier(npm.port, long="sar")
    await one.send(text(LONG))
    parts = npm.all("submit")
    assert [part["sar"][1:] for part in parts] == [[3, 1], [3, 2], [3, 3]]
    assert "".join(part["text"] for part in parts) == LONG


@needs_node
@pytest.mark.parametrize("words", [LONG, LONG_ARABIC])
async def test_npm_takes_long_texts_as_payload(npm: NpmSmsc, carrier, words: str) -> None:
    one = await carrier(npm.port, long="payload")
    await one.send(text(words))
    (whole,) = npm.all("submit")
    payload = whole["payload"]
    # It hands a payload over in the coding's octets or as text, as it pleases.
    assert words in (payload, decode_text(_hex(payload), whole["data_coding"], Alphabet.GSM))


def _hex(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        return b""


@needs_node
async def test_npm_throttles_and_is_obeyed(npm: NpmSmsc, carrier) -> None:
    one = await carrier(npm.port)
    await npm.tell("statuses", values=[0x58])
    message = text("hello")
    for reason in ("ESME_RTHROTTLED", "throttled"):
        with pytest.raises(CarrierError) as refused:
            await one.send(message)
        assert refused.value.reason == reason and refused.value.kind is ErrorKind.THROTTLED
        assert 0 < refused.value.retry_after <= 1
    await until(lambda: not one._out.pause)
    assert (await one.send(message)).carrier_id == "42"
    assert len(npm.all("submit")) == 2


@needs_node
async def test_a_vendors_statuses_mean_what_the_settings_say(npm: NpmSmsc, carrier) -> None:
    one = await carrier(npm.port, statuses="0x402=permanent, 0x404=reroute")
    await npm.tell("statuses", values=[0x402, 0x403, 0x404])
    for kind in (ErrorKind.PERMANENT, ErrorKind.RETRY, ErrorKind.REROUTE):
        with pytest.raises(CarrierError) as refused:
            await one.send(text("hello"))
        assert refused.value.kind is kind


@needs_node
async def test_a_wrong_password_is_a_link_that_is_refused(npm: NpmSmsc, carrier) -> None:
    one = await carrier(npm.port, password="wrong", bound=False)
    await until(lambda: one.states == (LinkState.REFUSED,))
    assert [event["right"] for event in npm.all("bind")] == [False]
    with pytest.raises(CarrierError) as refused:
        await one.send(text("hello"))
    assert (refused.value.kind, refused.value.reason) == (ErrorKind.RETRY, "link_refused")


@needs_node
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("spelling", ["decimal", "hex"])
async def test_receipts_find_their_text_first_or_last_and_however_spelled(
    npm: NpmSmsc, carrier, books: Books, when: str, spelling: str
) -> None:
    one = await carrier(npm.port)
    await npm.tell("receipts", when=when, spelling=spelling)
    sent = await one.send(text("hello"))
    await until(lambda: books.reports)
    (report,) = books.reports
    assert sent.carrier_id in (report.carrier_id, *report.other_ids)
    assert (report.state, report.error, report.carrier) == (DeliveryState.DELIVERED, None, "centre")


@needs_node
async def test_npm_delivers_texts_of_every_kind(npm: NpmSmsc, carrier, books: Books) -> None:
    await carrier(npm.port)
    person = {"source_addr": "254712000001", "source_addr_ton": 1, "destination_addr": "123"}
    await npm.tell("deliver", fields={**person, "short_message": "BAL"})  # it sends ASCII as data_coding 1
    await npm.wait("ack", 1)
    await npm.tell("deliver", fields={**person, "short_message": "رصيد"})
    await npm.wait("ack", 2)
    await npm.tell("deliver", fields={**person, "data_coding": 15, "short_message": {"hex": b"RCH 5".hex()}})
    await npm.wait("ack", 3)
    await npm.tell("deliver", fields={**person, "data_coding": 8, "message_payload": {"hex": "0041" * 200}})
    await npm.wait("ack", 4)
    assert [one.text for one in books.incoming] == ["BAL", "رصيد", "RCH 5", "A" * 200]
    assert {(one.sender, one.to, one.carrier) for one in books.incoming} == {("+254712000001", "123", "centre")}
    assert {event["status"] for event in npm.all("ack")} == {0}


@needs_node
async def test_a_failed_handler_gets_the_text_again_under_the_same_id(npm: NpmSmsc, carrier, books: Books) -> None:
    books.fail = 2
    await carrier(npm.port)
    await npm.tell("deliver", fields={"source_addr": "254712000001", "short_message": "BUY 2"})
    await npm.wait("ack", 3)
    assert [event["status"] for event in npm.all("ack")] == [0x64, 0x64, 0]
    assert len(books.incoming) == 3 and len({one.carrier_id for one in books.incoming}) == 1


@needs_node
async def test_a_killed_process_gets_the_text_again_under_the_same_id(
    npm: NpmSmsc, redis_url: str, tmp_path: Path
) -> None:
    written = tmp_path / "books"
    written.touch()

    async def esme(mode: str) -> asyncio.subprocess.Process:
        argv = ["-m", "tests.peers.esme", str(npm.port), redis_url, str(written), mode]
        return await asyncio.create_subprocess_exec(sys.executable, *argv, cwd=ROOT)

    await npm.tell("deliver", fields={"source_addr": "254712000001", "short_message": "BUY 2"})
    process = await esme("hang")
    await until(lambda: written.read_text().endswith("\n"))
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert npm.all("ack") == []
    process = await esme("go")
    try:
        await npm.wait("ack")
    finally:
        process.kill()
        await process.wait()
    first, second = written.read_text().splitlines()
    assert first == second and first.endswith(" BUY 2")


@needs_node
async def test_a_cut_line_is_bound_again_and_goes_on(npm: NpmSmsc, carrier) -> None:
    one = await carrier(npm.port)
    await npm.tell("drop")
    await npm.wait("bind", 2)
    await one.bound(5)
    assert (await one.send(text("hello"))).carrier_id == "42"


# --- Perl's Net::SMPP ---


@pytest.fixture
async def perl(unused_tcp_port: int, tmp_path: Path) -> AsyncIterator[PerlSmsc]:
    centre = PerlSmsc(unused_tcp_port, tmp_path)
    await centre.start()
    yield centre
    await centre.stop()


@pytest.mark.needs("perl")
@pytest.mark.parametrize("bind", ["transceiver", "separate"])
async def test_net_smpp_takes_binds_and_texts(perl: PerlSmsc, carrier, bind: str) -> None:
    one = await carrier(perl.port, bind=bind)
    assert (await one.send(text("Your balance is 5 €"))).carrier_id == "123456789"
    assert (await one.send(text(LONG))).carrier_id == "123456789"
    await one.close()
    await until(lambda: "Remote sent unbind" in perl.said())


# --- smpp34 ---


@pytest.fixture
async def server(unused_tcp_port: int) -> AsyncIterator[tuple[smpp34.Server, int]]:
    centre = smpp34.Server("127.0.0.1", unused_tcp_port, system_id="smpp34")
    await centre.start()
    yield centre, unused_tcp_port
    await centre.stop()


async def test_smpp34_takes_a_window_of_texts(server, carrier) -> None:
    centre, port = server
    one = await carrier(port, window=5)
    assert isinstance(await centre.next(), smpp34.Esme)
    sending = [asyncio.create_task(one.send(text(f"text {place}"))) for place in range(20)]
    seen = []
    for place in range(20):
        event = await centre.next()
        seen.append(event.short_message.decode())
        event.accept(f"{place:08X}")
    sent = await asyncio.gather(*sending)
    assert sorted(seen) == sorted(f"text {place}" for place in range(20))
    assert sorted(one.carrier_id for one in sent) == sorted(f"{place:x}" for place in range(20))


async def test_smpp34_refuses_and_is_understood(server, carrier) -> None:
    centre, port = server
    one = await carrier(port)
    assert isinstance(await centre.next(), smpp34.Esme)
    for status, kind in [(0x0B, ErrorKind.PERMANENT), (0x08, ErrorKind.RETRY), (0x14, ErrorKind.THROTTLED)]:
        sending = asyncio.create_task(one.send(text("hello")))
        (await centre.next()).reject(status)
        with pytest.raises(CarrierError) as refused:
            await sending
        assert refused.value.kind is kind


async def test_smpp34_delivers_and_waits_for_our_commit(server, carrier, books: Books) -> None:
    centre, port = server
    await carrier(port)
    esme = await centre.next()
    books.gate.clear()
    delivering = asyncio.ensure_future(
        esme.deliver_sm("123", b"BAL", source_addr="254712000001", tlvs=[smpp34.Tlv(0x0501, b"\x01")])
    )
    await until(lambda: books.incoming)
    assert not delivering.done()
    books.gate.set()
    assert (await delivering).is_success
    books.fail = 1
    assert (await esme.deliver_sm("123", b"BAL", source_addr="254712000001")).command_status == 0x64
