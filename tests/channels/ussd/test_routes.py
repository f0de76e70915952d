"""USSD over real HTTP: who may call, what is refused, what is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.ussd.africastalking.gateway import Gateway
from channels.ussd.routes import BODY_LIMIT, Door, routes
from engine.api import Engine
from runtime.keyring import Keyring
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from tests.channels.phone import MSISDN, Talk, money
from tests.serving import Client, ClientOf

Serve = Callable[..., Awaitable[Client]]
HOP = {"sessionId": "ATUid_1", "phoneNumber": MSISDN, "networkCode": "63902", "serviceCode": "*123#", "text": ""}


@pytest.fixture
def serve(talk: Talk, redis_client: Redis, keyring: Keyring, client_of: ClientOf) -> Serve:
    """Starts a server with one gateway; keywords go to its ``Door``."""

    async def start(metrics: Metrics | None = None, **door: Any) -> Client:
        application = web.Application(client_max_size=BODY_LIMIT)
        one = Door(name="africastalking", adapter=Gateway("africastalking", "123", {}), **door)
        application.add_routes(routes([one], talk(), Pointers(redis_client, keyring), metrics or Metrics()))
        return await client_of(application)

    return start


async def test_a_hop_is_answered_as_the_gateway_reads_it(serve: Serve, line: str) -> None:
    client = await serve()
    response = await client.post("/ussd/africastalking", data=HOP)
    assert response.status == 200
    assert response.content_type == "text/plain"
    assert response.headers["at-ussd-hop-metadata"] == "main_menu.home"
    assert (await response.text()).startswith("CON ")


async def test_a_start_repeated_by_the_network_is_answered_byte_for_byte(serve: Serve, line: str) -> None:
    client = await serve()
    responses = await asyncio.gather(*(client.post("/ussd/africastalking", data=HOP) for _ in range(8)))
    assert len({await response.read() for response in responses}) == 1


async def test_a_recharge_by_http(serve: Serve, engine: Engine, line: str, vouchers: list[str]) -> None:
    client = await serve()
    confirm = await client.post("/ussd/africastalking", data=HOP | {"text": vouchers[0]})
    assert (await confirm.text()).startswith("CON ")
    done = await client.post("/ussd/africastalking", data=HOP | {"text": f"{vouchers[0]}*1"})
    assert (await done.text()).startswith("END ")
    assert await money(engine) > 0


@pytest.mark.parametrize("field", ["sessionId", "phoneNumber", "text"])
async def test_a_malformed_form_is_refused_by_the_fields_name(serve: Serve, field: str) -> None:
    client = await serve()
    response = await client.post("/ussd/africastalking", data={name: HOP[name] for name in HOP if name != field})
    assert response.status == 400
    assert field in await response.text()


async def test_an_oversized_text_gets_a_screen_the_person_can_read(serve: Serve, line: str) -> None:
    client = await serve()
    response = await client.post("/ussd/africastalking", data=HOP | {"text": "1" * 3000})
    assert response.status == 200
    assert (await response.text()).startswith("END ")


async def test_what_nobody_can_type_gets_a_screen_too_and_its_field_and_reason_are_logged(
    serve: Serve, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("ussd")
    client = await serve()
    response = await client.post("/ussd/africastalking", data=HOP | {"text": "1\x00"})
    assert await response.text() == "END We could not read that. Please dial *123# again."
    assert response.status == 200
    written = capfd.readouterr().err
    assert "request_malformed" in written and "text" in written and "control characters" in written


async def test_an_oversized_body_is_refused_before_it_is_read(serve: Serve) -> None:
    client = await serve()
    response = await client.post("/ussd/africastalking", data=HOP | {"text": "1" * BODY_LIMIT})
    assert response.status == 413


async def test_a_body_that_is_not_compressed_as_it_says_is_the_callers_fault(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("ussd")
    client = await serve()
    response = await client.post("/ussd/africastalking", data=b"zz", headers={"Content-Encoding": "gzip"})
    assert (response.status, await response.text()) == (400, "body: cannot be read to its end")
    assert "Traceback" not in capfd.readouterr().err


async def test_only_post_is_served(serve: Serve) -> None:
    client = await serve()
    assert (await client.get("/ussd/africastalking")).status == 405
    assert (await client.post("/ussd/other", data=HOP)).status == 404


@pytest.mark.parametrize("path", ["/ussd/africastalking", "/ussd/africastalking/wrong", "/ussd/africastalking/s3cre"])
async def test_without_the_secret_segment_there_is_nothing_to_see(serve: Serve, path: str) -> None:
    client = await serve(secret="s3cret")
    refused = await client.post(path, data=HOP)
    unknown = await client.post("/ussd/nothing", data=HOP)
    assert (refused.status, await refused.text()) == (unknown.status, await unknown.text()) == (404, "404: Not Found")


async def test_with_the_secret_segment_hops_and_events_are_served(serve: Serve, line: str) -> None:
    client = await serve(secret="s3cret")
    assert (await client.post("/ussd/africastalking/s3cret", data=HOP)).status == 200
    assert (await client.post("/ussd/africastalking/events/s3cret", data=HOP | {"status": "Success"})).status == 200
    assert (await client.post("/ussd/africastalking/events/wrong", data=HOP | {"status": "Success"})).status == 404


async def test_a_caller_from_elsewhere_is_refused(serve: Serve, line: str) -> None:
    inside = await serve(allow=(ip_network("127.0.0.0/8"),))
    assert (await inside.post("/ussd/africastalking", data=HOP)).status == 200
    outside = await serve(allow=(ip_network("10.0.0.0/8"),))
    assert (await outside.post("/ussd/africastalking", data=HOP)).status == 403
    assert (await outside.post("/ussd/africastalking/events", data=HOP)).status == 403


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("10.1.2.3", 200),
        ("192.0.2.1", 403),
        ("10.1.2.3, 192.0.2.1", 403),
        ("192.0.2.1, 10.1.2.3", 200),
        ("192.0.2.1, 10.1.2.3, 127.0.0.9", 200),
        ("", 403),
        ("nonsense", 403),
    ],
)
async def test_behind_a_trusted_proxy_the_nearest_address_it_saw_counts(
    serve: Serve, line: str, forwarded: str, status: int
) -> None:
    client = await serve(allow=(ip_network("10.0.0.0/8"),), proxies=(ip_network("127.0.0.0/8"),))
    response = await client.post("/ussd/africastalking", data=HOP, headers={"X-Forwarded-For": forwarded})
    assert response.status == status


async def test_an_untrusted_caller_cannot_forge_its_address(serve: Serve) -> None:
    client = await serve(allow=(ip_network("10.0.0.0/8"),))
    response = await client.post("/ussd/africastalking", data=HOP, headers={"X-Forwarded-For": "10.1.2.3"})
    assert response.status == 403


@pytest.mark.parametrize("status", ["Success", "Incomplete", "Failed"])
async def test_an_end_event_is_counted(serve: Serve, status: str) -> None:
    metrics = Metrics()
    client = await serve(metrics=metrics)
    response = await client.post("/ussd/africastalking/events", data=HOP | {"status": status})
    assert response.status == 200
    assert f'gateway="africastalking",outcome="{status.lower()}"}} 1.0' in metrics.render().decode()


async def test_neither_number_nor_secret_reaches_the_log(
    serve: Serve, line: str, vouchers: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("ussd")
    client = await serve(secret="s3cretsegment")
    path = "/ussd/africastalking/s3cretsegment"
    hidden = HOP | {"text": f"{vouchers[0]}*1"}
    await client.post(path, data=hidden)
    await client.post(path, data=hidden | {"phoneNumber": "+254798765432"})
    await client.post(path, data=hidden | {"sessionId": f"{vouchers[0]} {MSISDN}"})
    await client.post(f"{path}x", data=hidden)
    event = hidden | {"status": "Incomplete", "input": hidden["text"], "lastAppResponse": vouchers[0]}
    await client.post("/ussd/africastalking/events/s3cretsegment", data=event)
    written = capfd.readouterr().err
    assert "unknown_line" in written
    assert "session_end" in written
    assert "request_malformed" in written
    for secret in (vouchers[0], MSISDN[1:], "254798765432", "s3cretsegment"):
        assert secret not in written
