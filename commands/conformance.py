"""What a gateway may count on, played against a running server: golden requests, retries, drops, limits, fuzz.

No check confirms a money step: it dials, looks behind each option of the first screen, and hangs up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import aiohttp
from yarl import URL

from channels.layout import septets, units
from channels.turn import Budget
from channels.ussd.voice import Call, Heard, Misread, Voice
from channels.ussd.voices import VoiceFactory
from commands.broken import broken, fields_of, fuzzed, with_fields

#: how many of one request come at the same time
TWINS = 4
#: pages of one screen that are looked at
PAGES = 5


class Unmet(Exception):
    """The server does not do what the gateway counts on. ``args[0]`` says what it did."""


class Finding(NamedTuple):
    """One check's outcome."""

    rule: str
    met: bool
    detail: str


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Line:
    """One gateway of a running server, as a caller knows it."""

    http: aiohttp.ClientSession
    #: the address that the gateway was given: ``https://host/ussd/hubtel/secret``
    url: str
    voice: VoiceFactory
    msisdn: str
    service_code: str
    budget: Budget
    deadline_seconds: float
    #: the longest that an answer has taken, seconds
    slowest: float = 0.0
    #: screens heard
    screens: list[str] = field(default_factory=list)

    def session(self) -> Voice:
        """A session that nobody had before."""
        return self.voice(f"kit{secrets.token_hex(8)}", self.msisdn, self.service_code)

    async def send(self, call: Call) -> Answer:
        """One request, and whatever comes back."""
        started = time.monotonic()
        # As it stands: what is fuzzed must not be tidied up on the way.
        address = URL(self.url + call.path, encoded=True).with_query(dict(call.query) or None)
        headers = {"Content-Type": call.content_type} if call.content_type else {}
        try:
            async with self.http.request(call.method, address, data=call.body or None, headers=headers) as answer:
                found = Answer(answer.status, dict(answer.headers), await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unmet(f"no answer: {type(error).__name__}") from None
        self.slowest = max(self.slowest, time.monotonic() - started)
        return found

    async def hear(self, voice: Voice, call: Call) -> Heard:
        """One request that must be answered with a screen."""
        return self.read(voice, await self.send(call))

    def read(self, voice: Voice, answer: Answer) -> Heard:
        """The screen that a gateway reads out of an answer."""
        if answer.status != 200:
            raise Unmet(f"status {answer.status}")
        try:
            heard = voice.hear(answer.headers, answer.body)
        except (Misread, UnicodeDecodeError) as error:
            raise Unmet(f"the gateway cannot read the answer: {error}") from None
        if heard.text:
            self.screens.append(heard.text)
        return heard


Check = Callable[[Line], Awaitable[str]]


async def conformance(line: Line) -> list[Finding]:
    """Every check's finding, in order."""
    findings = []
    for rule, check in CHECKS.items():
        try:
            findings.append(Finding(rule, True, await check(line)))
        except Unmet as error:
            findings.append(Finding(rule, False, str(error)))
    return findings


async def _golden(line: Line) -> str:
    voice = line.session()
    first = await line.hear(voice, voice.dial())
    if first.ends or not first.text:
        raise Unmet("dialling the code does not lead to a menu")
    second = await line.hear(voice, voice.say("1"))
    if not second.text:
        raise Unmet("the second screen is empty")
    return f"{len(first.text)} and {len(second.text)} characters"


async def _options(line: Line) -> str:
    """Every option of the first screen, and its pages; this is what limits are measured on."""
    for option in range(1, 10):
        voice = line.session()
        await line.hear(voice, voice.dial())
        heard = await line.hear(voice, voice.say(str(option)))
        seen = {heard.text}
        while not heard.ends and len(seen) < PAGES:
            heard = await line.hear(voice, voice.say("98"))
            if heard.text in seen:
                break
            seen.add(heard.text)
        await _hang_up(line, voice)
    return f"{len(set(line.screens))} screens"


async def _limits(line: Line) -> str:
    longest = 0
    for screen in line.screens:
        cost = septets(screen)
        most = line.budget.ucs2 if cost is None else line.budget.septets
        size = units(screen) if cost is None else cost
        if size > most:
            raise Unmet(f"a screen of {size}, {most} is the most: {screen[:30]!r}…")
        longest = max(longest, size)
    return f"longest {longest}, most {line.budget.septets} septets or {line.budget.ucs2} UCS-2 units"


async def _shortcut(line: Line) -> str:
    voice, other = line.session(), line.session()
    menu = await line.hear(other, other.dial())
    heard = await line.hear(voice, voice.dial("1"))
    if heard.text == menu.text:
        raise Unmet("what is dialled behind the code is not looked at")
    return "*code*1# leads behind the menu"


async def _repeated(line: Line) -> str:
    voice = line.session()
    for make in (voice.dial, partial(voice.say, "1")):
        call = make()
        first, again = await line.send(call), await line.send(call)
        line.read(voice, first)
        if (first.status, first.body) != (again.status, again.body):
            raise Unmet("a repeated hop is answered otherwise")
    return "byte for byte"


async def _twins(line: Line) -> str:
    voice = line.session()
    for make in (voice.dial, partial(voice.say, "1")):
        call = make()
        answers = await asyncio.gather(*(line.send(call) for _ in range(TWINS)))
        line.read(voice, answers[0])
        if len({(answer.status, answer.body) for answer in answers}) > 1:
            raise Unmet("hops that come at the same time are answered differently")
    return f"{TWINS} at a time, one answer"


async def _dropped(line: Line) -> str:
    voice = line.session()
    await line.hear(voice, voice.dial())
    call = voice.say("1")
    lost = asyncio.ensure_future(line.send(call))
    await asyncio.sleep(0.005)
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    await line.hear(voice, call)
    return "the hop that comes again is answered"


async def _hung_up(line: Line) -> str:
    voice = line.session()
    await line.hear(voice, voice.dial())
    if not await _hang_up(line, voice):
        return "this gateway has no word for it"
    after = await line.send(voice.say("1"))
    if after.status >= 500:
        raise Unmet(f"a hop after the end: status {after.status}")
    return "taken, and a late hop does no harm"


async def _stranger(line: Line) -> str:
    digits = line.msisdn[:-6] + line.msisdn[-6:][::-1]
    voice = replace(line, msisdn=digits).session()
    heard = await line.hear(voice, voice.dial())
    return f"a screen: {heard.text[:30]!r}"


async def _malformed(line: Line) -> str:
    count = 0
    for label, call in broken(line.session().dial()):
        answer = await line.send(call)
        count += 1
        if not 400 <= answer.status < 500:
            raise Unmet(f"{label}: status {answer.status}")
        if not answer.body:
            raise Unmet(f"{label}: no word about what is wrong")
    return f"{count} requests, each a clear 4xx"


async def _fuzz(line: Line) -> str:
    count = 0
    for label, call in fuzzed((line.session().dial(), line.session().say("1"))):
        answer = await line.send(call)
        count += 1
        if answer.status >= 500:
            raise Unmet(f"{label}: status {answer.status}")
    return f"{count} requests, none broke anything"


async def _unknown_field(line: Line) -> str:
    voice = line.session()
    call = voice.dial()
    fields = fields_of(call)
    if fields is None:
        return "this format has no fields to add to"
    await line.hear(voice, with_fields(call, fields | {"aFieldOfTomorrow": "x"}))
    return "tolerated"


async def _in_time(line: Line) -> str:
    if line.slowest > line.deadline_seconds:
        raise Unmet(f"an answer took {line.slowest:.1f} s, the gateway waits {line.deadline_seconds:g} s")
    return f"slowest {line.slowest * 1000:.0f} ms of {line.deadline_seconds:g} s"


CHECKS: dict[str, Check] = {
    "dialling leads to a menu, an answer to a screen": _golden,
    "what is dialled behind the code is a shortcut": _shortcut,
    "every option of the menu leads to a screen": _options,
    "a repeated hop gets the same answer": _repeated,
    "hops at the same time get one answer": _twins,
    "a hop whose answer was lost can come again": _dropped,
    "the end of a session is taken": _hung_up,
    "a number without a line gets a screen": _stranger,
    "fields of tomorrow are tolerated": _unknown_field,
    "what cannot be read is refused": _malformed,
    "fuzz breaks nothing": _fuzz,
    "no screen is longer than the gateway's": _limits,
    "answers come in time": _in_time,
}


async def _hang_up(line: Line, voice: Voice) -> bool:
    call = voice.hang_up()
    if call is None:
        return False
    await line.hear(voice, call)
    return True
