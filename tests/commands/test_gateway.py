"""``manage.py gateway``: the kit finds nothing wrong with our server, and finds the faults of others."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from channels.turn import Budget
from channels.ussd.routes import BODY_LIMIT
from channels.ussd.voices import load_voice
from commands import gateway
from commands.conformance import CHECKS, Finding, Line, conformance
from engine.api import Engine
from runtime.embedded.process import free_port
from tests.channels.phone import MSISDN

ROOT = Path(__file__).resolve().parents[2]
GATEWAYS = ("hubtel", "comviva", "restcomm")

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Running(NamedTuple):
    base: str
    variables: dict[str, str]


@pytest.fixture
async def server(database_url: str, redis_url: str, tmp_path: Path, engine: Engine) -> AsyncIterator[Running]:
    """A real server process with several gateways."""
    await engine.create_line(MSISDN, language="en")
    config = tmp_path / "rasid.toml"
    lines = [f'operator = "{ROOT / "examples" / "kenya.toml"}"', "[keys]", f'1 = "{bytes(range(32)).hex()}"']
    lines += [words for name in GATEWAYS for words in (f"[gateways.{name}]", f'adapter = "{name}"')]
    config.write_text("\n".join([*lines, 'secret_path = "s3cret"']), encoding="utf-8")
    port = free_port()
    ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RASID_CONFIG": str(config)}
    variables = {"PATH": os.environ["PATH"], "PORT": str(port), "RASID_HOST": "127.0.0.1", **ours}
    process = await asyncio.create_subprocess_exec(sys.executable, "ussd_server.py", cwd=ROOT, env=variables)
    base = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while process.returncode is None:
                try:
                    async with http.get(f"{base}/health/ready"):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)
        yield Running(base, variables)
    finally:
        process.terminate()
        await process.wait()


async def check(*arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The command's status and what it printed. In a thread: it has an event loop of its own."""
    environment = {"COLUMNS": "200", **(variables or {})}
    done = await asyncio.to_thread(CliRunner().invoke, gateway.app, ["check", *arguments], env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


async def test_our_server_meets_every_rule_of_every_gateway(server: Running) -> None:
    for name in GATEWAYS:
        secret = ("--secret", "s3cret") if name == GATEWAYS[-1] else ()
        status, written = await check(name, "--url", server.base, "--msisdn", MSISDN, *secret)
        assert status == 0, written
        assert f"{len(CHECKS)} of {len(CHECKS)} rules met" in written


async def test_a_rule_that_is_not_met_is_named_and_the_status_is_1(server: Running) -> None:
    status, written = await check("hubtel", "--url", server.base, "--msisdn", MSISDN, "--septets", "60")
    assert status == 1
    assert "NOT MET" in written
    assert "60 is the most" in written
    status, written = await check(GATEWAYS[-1], "--url", server.base, "--msisdn", MSISDN, "--secret", "wrong")
    assert status == 1
    assert "status 404" in written


async def test_by_the_settings_port_secret_and_limits_are_known(server: Running) -> None:
    status, written = await check(GATEWAYS[-1], "--msisdn", MSISDN, variables=server.variables)
    assert status == 0, written
    status, written = await check("nobody", variables=server.variables)
    assert status == 2
    assert "restcomm" in written


async def menu(request: web.Request) -> web.Response:
    """A server that meets every rule, on Africa's Talking's form."""
    body = await request.read()
    if len(body) > BODY_LIMIT:
        return web.Response(status=413, text="too large")
    try:
        fields = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        assert {"sessionId", "phoneNumber", "serviceCode", "text"} <= fields.keys()
    except (UnicodeDecodeError, AssertionError):
        return web.Response(status=400, text="END malformed")
    text = fields["text"]
    return web.Response(text=f"CON Option {text[:9]}" if text else "CON Menu")


async def findings(handler: Handler, *, septets: int = 160) -> dict[str, Finding]:
    application = web.Application(client_max_size=10 * BODY_LIMIT)
    application.router.add_post("/ussd/at", handler)
    async with TestServer(application) as found, aiohttp.ClientSession() as http:
        line = Line(
            http=http,
            url=str(found.make_url("/ussd/at")),
            voice=load_voice("africastalking", {}),
            msisdn=MSISDN,
            service_code="123",
            budget=Budget(septets=septets),
            deadline_seconds=0.5,
        )
        return {finding.rule: finding for finding in await conformance(line)}


def faulty(change: Callable[[web.Response], web.Response | None]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        answer = await menu(request)
        return change(answer) or answer

    return handler


def ended(answer: web.Response) -> web.Response | None:
    return web.Response(text="END Menu") if answer.status == 200 else None


def unreadable(answer: web.Response) -> web.Response | None:
    return web.Response(text="Menu") if answer.status == 200 else None


def crashing(answer: web.Response) -> web.Response | None:
    return web.Response(status=500, text="oops") if answer.status >= 400 else None


def credulous(answer: web.Response) -> web.Response | None:
    return web.Response(text="CON Menu") if answer.status >= 400 else None


def speechless(answer: web.Response) -> web.Response | None:
    return web.Response(status=400) if answer.status >= 400 else None


def deaf(answer: web.Response) -> web.Response | None:
    return web.Response(text="CON Menu") if answer.status == 200 else None


async def test_a_server_without_fault_meets_every_rule() -> None:
    assert all(finding.met for finding in (await findings(menu)).values())


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (ended, "dialling leads to a menu, an answer to a screen"),
        (unreadable, "dialling leads to a menu, an answer to a screen"),
        (deaf, "what is dialled behind the code is a shortcut"),
        (crashing, "what cannot be read is refused"),
        (crashing, "fuzz breaks nothing"),
        (credulous, "what cannot be read is refused"),
        (speechless, "what cannot be read is refused"),
    ],
)
async def test_a_fault_is_found_under_its_rule(
    change: Callable[[web.Response], web.Response | None], rule: str
) -> None:
    assert not (await findings(faulty(change)))[rule].met


async def test_a_server_that_counts_its_answers_fails_the_rules_of_retries() -> None:
    numbers = itertools.count()
    found = await findings(faulty(lambda answer: web.Response(text=f"{answer.text} {next(numbers)}")))
    assert not found["a repeated hop gets the same answer"].met
    assert not found["hops at the same time get one answer"].met


async def test_a_screen_that_is_too_long_is_found() -> None:
    rule = "no screen is longer than the gateway's"
    long = faulty(lambda answer: web.Response(text=f"{answer.text}{'x' * 40}") if answer.status == 200 else None)
    assert (await findings(long, septets=160))[rule].met
    assert not (await findings(long, septets=40))[rule].met


async def test_a_screen_in_another_script_is_measured_in_ucs2() -> None:
    arabic = faulty(lambda answer: web.Response(text=f"{answer.text}{'ش' * 75}") if answer.status == 200 else None)
    assert not (await findings(arabic))["no screen is longer than the gateway's"].met


async def test_a_server_that_refuses_fields_of_tomorrow_is_found() -> None:
    async def strict(request: web.Request) -> web.Response:
        if b"aFieldOfTomorrow" in await request.read():
            return web.Response(status=400, text="END what is this?")
        return await menu(request)

    assert not (await findings(strict))["fields of tomorrow are tolerated"].met


async def test_a_server_that_nobody_finds_is_one_finding_a_rule_and_no_traceback() -> None:
    asked = ("arkesel", "--url", f"http://127.0.0.1:{free_port()}", "--msisdn", MSISDN)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "gateway", "check", *asked),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    assert process.returncode == 1
    assert b"no answer" in written
    assert b"Traceback" not in written


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "hubtell", "--url", "http://127.0.0.1:9"], "there is no adapter 'hubtell'"),
        (["check", "smpp", "--url", "http://127.0.0.1:9"], "smpp"),
        (["check", "mine", "--url", "http://127.0.0.1:9", "--file", "/nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_gateway_that_nobody_can_speak_as_is_one_sentence(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(gateway.app, arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_without_settings_the_list_names_the_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RASID_CONFIG", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    done = CliRunner().invoke(gateway.app, ["list"])
    assert done.exit_code == 0
    assert {"hubtel", "arkesel", "nalo"} <= {word.strip(",") for word in done.output.split()}


def test_settings_that_are_wrong_are_named_by_the_list_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_LANES", "many")
    done = CliRunner().invoke(gateway.app, ["list"])
    assert done.exit_code == 2
    assert "lanes" in done.output


def test_with_settings_the_list_says_what_each_gateway_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "rasid.toml"
    config.write_text(
        f'operator = "{ROOT / "examples" / "kenya.toml"}"\ndatabase_url = "postgresql://x/y"\n'
        f'redis_url = "redis://x"\n[keys]\n1 = "{bytes(range(32)).hex()}"\n[gateways.gh]\nadapter = "nalo"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("RASID_CONFIG", str(config))
    done = CliRunner().invoke(gateway.app, ["list"])
    assert done.exit_code == 0, done.output
    assert "/ussd/gh" in done.output
    assert "120" in done.output


def test_the_demo_refuses_a_gateway_that_cannot_be_served_before_it_starts_anything(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('title = "Wrong"\n', encoding="utf-8")
    gateway = {"adapter": "spelled", "options": {"file": str(wrong)}}
    # Nobody listens at these addresses: it does not come to that.
    elsewhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--port", str(unused_tcp_port), "--state", str(tmp_path / "state")],
        env={**os.environ, **elsewhere, "RASID_GATEWAYS": json.dumps({"own": gateway})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "gateways.own.options.file.source: wrong.toml: Field required" in done.stderr
