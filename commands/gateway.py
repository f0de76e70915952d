"""``manage.py gateway``: which USSD gateways there are, and whether a running server does what one counts on."""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from channels.turn import Profile
from channels.ussd.adapters import shipped
from channels.ussd.configured import doors, profiles
from channels.ussd.outbound import load as load_outbound
from channels.ussd.voices import NoVoice, VoiceFactory, load_voice
from commands.announcing import base_url
from commands.conformance import Finding, Line, conformance
from commands.installation import anything_set, guarded
from commands.scratch import SAMPLE
from commands.tables import print_table
from configuration.options import WrongOptions
from settings import GatewaySettings, Operator, load_operator, load_settings

app = typer.Typer(help="USSD gateways: list them, check one against a running server.", no_args_is_help=True)


class Checked(NamedTuple):
    """The gateway to be checked."""

    settings: GatewaySettings
    profile: Profile
    operator: Operator
    #: the server's address
    url: str


@app.command("list")
def list_gateways() -> None:
    """The gateways of the settings; without settings, the adapters that come with the product."""
    if not anything_set():
        Console().print("adapters:", ", ".join(shipped()))
        return
    settings = guarded(load_settings)
    called = {door.name for door in guarded(lambda: doors(settings, load_operator(settings.operator)))}
    table = Table("name", "adapter", "path", "septets", "UCS-2", "session", "deadline")
    for name, profile in guarded(lambda: profiles(settings.gateways)).items():
        gateway = settings.gateways[name]
        table.add_row(
            name,
            gateway.adapter,
            f"/ussd/{name}{'/…' if gateway.secret_path else ''}" if name in called else "bot.py connects",
            str(profile.budget.septets),
            str(profile.budget.ucs2),
            f"{profile.session_seconds} s",
            f"{profile.deadline_seconds:g} s",
        )
    print_table(table)


@app.command("check")
def check_gateway(
    name: Annotated[str, typer.Argument(help="The gateway's name in the path.")],
    *,
    url: Annotated[
        str | None, typer.Option(help="The server, http://host:port: its settings are then not looked at.")
    ] = None,
    msisdn: Annotated[str | None, typer.Option(help="A number with a line; by default the sample operator's.")] = None,
    code: Annotated[str | None, typer.Option(help="What is dialled, without * and #.")] = None,
    adapter: Annotated[
        str | None, typer.Option(help="With --url: the adapter, where NAME does not begin with it.")
    ] = None,
    file: Annotated[str | None, typer.Option(help="With --url: the gateway's data file.")] = None,
    secret: Annotated[str, typer.Option(help="With --url: the secret path segment.")] = "",
    septets: Annotated[int, typer.Option(help="With --url: what a screen holds.")] = 182,
) -> None:
    """Play golden requests, retries, drops, limits and fuzz; exit status 1 when the gateway could not live with it."""
    if url is None:
        checked, voice = guarded(lambda: _configured(name))
    else:
        plain = named_gateway(name, adapter=adapter, file=file, septets=septets, secret=secret)
        checked, voice = guarded(lambda: _plain(name, plain, url))
    subscribers = checked.operator.demo.subscribers
    if msisdn is None and not subscribers:
        raise typer.BadParameter("no sample line: --msisdn names one")
    findings, slowest = asyncio.run(
        _play(
            name,
            checked,
            voice,
            msisdn=msisdn or subscribers[0].msisdn,
            code=code or checked.settings.service_code or checked.operator.service_code,
        )
    )
    _show(name, findings, slowest)
    if not all(finding.met for finding in findings):
        raise typer.Exit(1)


def named_gateway(name: str, *, adapter: str | None, file: str | None, septets: int, secret: str) -> GatewaySettings:
    """A gateway as the command line tells of it: by its data file, by its adapter, or by a name that begins with it."""
    return GatewaySettings(
        adapter="spelled" if file else adapter or name.partition("-")[0],
        septets=septets,
        secret_path=secret,
        options={"file": file} if file else {},
    )


def _configured(name: str) -> tuple[Checked, VoiceFactory]:
    settings = load_settings()
    gateway = settings.gateways.get(name)
    if gateway is None:
        raise typer.BadParameter(f"no gateway {name} in the settings: there are {', '.join(sorted(settings.gateways))}")
    operator = load_operator(settings.operator)
    return Checked(gateway, profiles({name: gateway})[name], operator, base_url(settings)), voice_of(gateway)


def _plain(name: str, gateway: GatewaySettings, url: str) -> tuple[Checked, VoiceFactory]:
    return Checked(gateway, profiles({name: gateway})[name], load_operator(SAMPLE), url.rstrip("/")), voice_of(gateway)


def voice_of(gateway: GatewaySettings) -> VoiceFactory:
    """What makes sessions as the gateway would. Raises ``typer.BadParameter``."""
    try:
        return load_voice(gateway.adapter, gateway.options)
    except NoVoice as error:
        why = "bot.py connects to it" if load_outbound(gateway.adapter) else "it has no voice"
        raise typer.BadParameter(f"nobody can call as {error.args[0]}: {why}") from None
    except WrongOptions as error:
        raise typer.BadParameter("; ".join(f"{option}: {reason}" for option, reason in error.problems)) from None


async def _play(
    name: str, checked: Checked, voice: VoiceFactory, *, msisdn: str, code: str
) -> tuple[list[Finding], float]:
    secret = f"/{checked.settings.secret_path}" if checked.settings.secret_path else ""
    timeout = aiohttp.ClientTimeout(total=checked.profile.deadline_seconds * 2)
    # A gateway keeps no cookies for all people together.
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        line = Line(
            http=http,
            url=f"{checked.url}/ussd/{name}{secret}",
            voice=voice,
            msisdn=msisdn,
            service_code=code,
            budget=checked.profile.budget,
            deadline_seconds=checked.profile.deadline_seconds,
        )
        return await conformance(line), line.slowest


def _show(name: str, findings: list[Finding], slowest: float) -> None:
    table = Table("rule", "", "what was seen", title=f"gateway {name}", title_justify="left")
    for finding in findings:
        table.add_row(finding.rule, "[green]met[/]" if finding.met else "[red]NOT MET[/]", finding.detail)
    console = Console()
    print_table(table)
    unmet = sum(not finding.met for finding in findings)
    console.print(f"{len(findings) - unmet} of {len(findings)} rules met, slowest answer {slowest * 1000:.0f} ms")
