"""``manage.py dialog play``: a phone in the terminal, on a running server or on a scratch installation."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from channels.chats import chat_profile
from channels.layout import septets, units
from channels.sms.configured import text_profiles
from channels.turn import Budget
from channels.ussd.configured import profiles
from channels.ussd.voice import Misread
from commands.gateway import named_gateway, voice_of
from commands.installation import guarded
from commands.phones import Phone, Seen, ServedPhone, TextPhone, UssdPhone
from commands.scratch import SAMPLE, scratch
from runtime.logs import configure_logs
from settings import CHAT, GatewaySettings, Operator, load_operator

#: what is no answer to a screen but done to the phone
AGAIN, HANG_UP, QUIT = "/again", "/hang", "/quit"
HELP = f"{AGAIN} sends the last hop once more, {HANG_UP} hangs up, *{{code}}# dials, {QUIT} leaves"
#: what a phone dials, whatever it shows
DIALLED = re.compile(r"\*[\d*]*\d#")
By = Literal["terminal", "ussd", "sms", "chat"]


def play(
    *,
    operator: Annotated[Path | None, typer.Option(help="The operator's file; by default examples/kenya.toml.")] = None,
    url: Annotated[str | None, typer.Option(help="A running server; by default one of its own, for a while.")] = None,
    gateway: Annotated[str, typer.Option(help="Whose screens: a gateway's name in the path.")] = "africastalking",
    by: Annotated[By, typer.Option(help="Without --url: what is typed into.")] = "terminal",
    msisdn: Annotated[str | None, typer.Option(help="Whose phone; by default the file's first sample line.")] = None,
    dial: Annotated[str, typer.Option(help="What is dialled first: *123*2*50#, or behind the code 2*50.")] = "",
    septets: Annotated[int, typer.Option(help="What a screen holds.")] = 182,
    secret: Annotated[str, typer.Option(help="With --url: the gateway's secret path segment.")] = "",
    adapter: Annotated[
        str | None, typer.Option(help="The adapter, where the gateway's name does not begin with it.")
    ] = None,
    file: Annotated[str | None, typer.Option(help="The gateway's data file.")] = None,
) -> None:
    """Talk with the dialogs as on a phone; what is typed may come from a script on stdin, a line for each answer."""
    configure_logs("play", logging.ERROR)
    path = operator or SAMPLE
    known = guarded(lambda: load_operator(path))
    number = msisdn or (known.demo.subscribers[0].msisdn if known.demo.subscribers else None)
    if number is None:
        raise typer.BadParameter("the operator's file has no sample line: --msisdn names one")
    given = named_gateway(gateway, adapter=adapter, file=file, septets=septets, secret=secret)
    session = _Session(Console(), known.service_code, dial)
    if url is not None:
        guarded(lambda: asyncio.run(_on_server(session, url, gateway, given, operator=known, msisdn=number)))
    else:
        guarded(lambda: asyncio.run(_on_scratch(session, path, gateway, given, msisdn=number, by=by)))


class _Session:
    """What a person does with a phone, line by line."""

    def __init__(self, console: Console, code: str, first: str) -> None:
        """``code``: the service code. ``first``: what is dialled before anything is typed."""
        self._console, self._code, self._first = console, code, first

    async def run(self, fresh: Callable[[], Phone], budget: Budget) -> None:
        """Until the person leaves or the script is at its end."""
        if sys.stdin.isatty():
            self._console.print(HELP.format(code=self._code), style="dim", highlight=False)
        phone, seen = fresh(), Seen("", ends=True)
        async for line in self._lines():
            if line == QUIT:
                break
            if line == HANG_UP:
                await phone.hang_up()
                seen = Seen("", ends=True)
            elif line == AGAIN:
                seen = self._show(await phone.again(), budget)
            elif DIALLED.fullmatch(line) or seen.ends:
                beyond = self._beyond(line)
                if beyond is not None:
                    phone = fresh()
                    seen = self._show(await phone.dial(beyond), budget)
            else:
                seen = self._show(await phone.say(line), budget)

    async def _lines(self) -> AsyncIterator[str]:
        """What is dialled first, unless a script begins with dialling; then what the person types."""
        scripted = None if sys.stdin.isatty() else await asyncio.to_thread(self._line)
        if scripted is None or self._first or not DIALLED.fullmatch(scripted):
            yield self._first
        if scripted is not None:
            yield scripted
        while (line := await asyncio.to_thread(self._line)) is not None:
            yield line

    def _beyond(self, dialled: str) -> str | None:
        """What is dialled behind the service code; None, and a word about it, where it is another one's."""
        if not DIALLED.fullmatch(dialled):
            return dialled
        code, _, beyond = f"{dialled[1:-1]}*".partition(f"{self._code}*")
        if code:
            self.tell(f"{dialled} is not this service: *{self._code}# is")
            return None
        return beyond.removesuffix("*")

    def tell(self, sentence: str) -> None:
        """Say something beside the phone."""
        self._console.print(sentence, style="dim", highlight=False)

    def _line(self) -> str | None:
        try:
            typed = self._console.input("> ") if sys.stdin.isatty() else sys.stdin.readline()
        except EOFError:
            return None
        return typed.rstrip("\n") if typed or sys.stdin.isatty() else None

    def _show(self, seen: Seen, budget: Budget) -> Seen:
        counted = septets(seen.text)
        used = f"{units(seen.text)}/{budget.ucs2} UCS-2" if counted is None else f"{counted}/{budget.septets}"
        title = f"{seen.label or 'screen'}{' · ends' if seen.ends else ''}"
        self._console.print(Panel(Text(seen.text), title=title, subtitle=used, width=44, title_align="left"))
        return seen


async def _on_server(
    session: _Session, url: str, name: str, gateway: GatewaySettings, *, operator: Operator, msisdn: str
) -> None:
    budget, voice = profiles({name: gateway})[name].budget, voice_of(gateway)
    secret = f"/{gateway.secret_path}" if gateway.secret_path else ""
    path = f"{url.rstrip('/')}/ussd/{name}{secret}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        def fresh() -> Phone:
            """A phone that nobody has dialled with: what is served by HTTP hears each as a session of its own."""
            return ServedPhone(http, path, voice(_name(), msisdn, operator.service_code))

        try:
            await session.run(fresh, budget)
        except Misread as error:
            raise ValueError(f"the answer is none of {gateway.adapter}: {error.args[0]}") from None


async def _on_scratch(
    session: _Session, path: Path, name: str, gateway: GatewaySettings, *, msisdn: str, by: By
) -> None:
    async with scratch(path, gateways={name: gateway}, paying=True) as made:
        opened = made.opened
        apps = {"sms": "simulator", "chat": CHAT}
        texts = {**text_profiles(opened.settings, opened.operator), CHAT: chat_profile(opened.operator)}

        def fresh() -> Phone:
            """A phone that nobody has dialled with, of the kind that is wanted."""
            if by in apps:
                return TextPhone(opened.text_channels.texts, apps[by], msisdn, _name())
            return UssdPhone(opened.conversation, name, msisdn, _name(), cumulative=by == "ussd")

        session.tell(f"vouchers: {', '.join(made.vouchers[:3])}")
        known = texts[apps[by]] if by in apps else profiles({name: gateway})[name]
        await session.run(fresh, known.budget)


def _name() -> str:
    return f"play-{secrets.token_hex(6)}"
