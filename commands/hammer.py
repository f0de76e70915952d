"""Random and hostile turns: what people, networks and attackers type, on all channels at once, and what must hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field

import phonenumbers
import sqlalchemy as sa
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from sqlalchemy.ext.asyncio import AsyncEngine

from channels.conversation import Conversation
from channels.layout import septets, units
from channels.texts import TextConversation
from channels.turn import Budget
from commands.phones import Phone, Seen, TextPhone, UssdPhone
from commands.seed import give
from engine.api import Engine
from engine.books.tables import operation

#: what is said when a deadline is over, which on a slow machine is nobody's fault (what failed, the meters tell)
SLOW = frozenset({"notice.try_again", "notice.paying", "notice.late", "notice.busy"})
#: what is said where a session is gone, which it may be only if Redis has not answered
LOST = "notice.session_lost"
HOME = "main_menu.home"
#: where operations come from that people ask for in dialogs
SOURCES = "^(ussd|terminal|sms|chat):"
#: of the people who are hammered on: their PINs, and the minor units that they have
PINS = (None, "2580", None, "3691")
AMOUNTS = (0, 150_000, 900, 20_000, 5_000_000)
#: turns of one session at most, and sessions of one person under one number of turns
TURNS_MOST = 25
#: what people mostly type, and what nobody should
USUAL = ("1", "1", "1", "2", "2", "3", "4", "5", "6", "7", "8", "0", "00", "98", "1", "50", "100", "2580", "3691")
HOSTILE = (
    "",
    " ",
    "*",
    "#",
    "**1**",
    "1*1*1*1*1*1",
    "-1",
    "0.5",
    "1e9",
    "9" * 18,
    "9" * 160,
    "1" * 2100,
    "*".join("1" * 60),
    "' OR 1=1 --",
    "{balance}",
    "{0}",
    "%s%n",
    "\x00",
    "\x1b[2J",
    "\u202e1\u202c",
    "\u0661",
    "\u06f2",
    "\uff11",
    "\u00b2",
    "\U0001f4b0",
    "\ud7ff\ue000",
    "e\u0301" * 40,
    "STOP",
    "START",
    "HELP",
    "MENU",
    "BUY 1",
    "SEND 50 0712345002",
    "RCH 00000000000000",
    "+254712345002",
    "0722345003",
    "000000",
    "00000000000000",
)


@dataclass(slots=True)
class Report:
    """What was seen. ``faults`` says what must not be, each once with how often."""

    turns: int = 0
    sessions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    #: screen → how often it was shown
    screens: Counter[str] = field(default_factory=Counter)
    #: references on screens that end
    told: set[str] = field(default_factory=set)
    #: turns that were not answered in time: what they did is told later
    slow: int = 0
    #: sessions that were gone in their midst
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is hammered: conversations in this process, on which gateways and apps, and who is there."""

    ussd: Conversation
    texts: TextConversation
    #: gateway → what its screens hold
    gateways: dict[str, Budget]
    #: app → what one of its answers holds
    apps: dict[str, Budget]
    msisdns: Sequence[str]
    vouchers: Sequence[str]


class Hammer:
    """Plays so many turns on a target. The same seed types the same; what it meets depends on the books."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._seed = seed
        self._stopped = False
        self.report = Report()

    async def run(self, turns: int, people: int = 64) -> Report:
        """About ``turns`` turns, by so many people at a time."""
        await asyncio.gather(*(self._person(number, turns) for number in range(people)))
        return self.report

    def stop(self) -> None:
        """Let the sessions under way be the last ones."""
        self._stopped = True

    async def _person(self, number: int, turns: int) -> None:
        choose = random.Random(f"{self._seed}|{number}")
        session = 0
        while self.report.turns < turns and not self._stopped:
            session += 1
            await self._session(choose, f"h{self._seed}-{number}-{session}")

    async def _session(self, choose: random.Random, name: str) -> None:
        target, report = self._target, self.report
        msisdn = choose.choice(target.msisdns)
        phone, budget = self._phone(choose, msisdn, name)
        report.sessions += 1
        beyond = choose.choice(("", "", "", "2*1", "3*1*1", "9*9", choose.choice(HOSTILE)))
        seen = await self._turn(budget, phone.dial(beyond))
        for _ in range(choose.randrange(TURNS_MOST)):
            if seen.ends:
                return
            chance = choose.random()
            if chance < 0.06:
                seen = await self._retry(phone, budget, seen)
            elif chance < 0.08:
                await phone.hang_up()
                return
            elif chance < 0.12:
                seen = await self._home(phone, budget, seen)
            else:
                seen = await self._turn(budget, phone.say(self._typed(choose)))

    def _phone(self, choose: random.Random, msisdn: str, name: str) -> tuple[Phone, Budget]:
        target = self._target
        if target.apps and choose.random() < 0.3:
            app, budget = choose.choice(list(target.apps.items()))
            return TextPhone(target.texts, app, msisdn, name), budget
        gateway, budget = choose.choice(list(target.gateways.items()))
        return UssdPhone(target.ussd, gateway, msisdn, name, cumulative=choose.random() < 0.6), budget

    def _typed(self, choose: random.Random) -> str:
        chance = choose.random()
        if chance < 0.12:
            return choose.choice(HOSTILE)
        if chance < 0.16 and self._target.vouchers:
            return choose.choice(self._target.vouchers)
        if chance < 0.2:
            return choose.choice(self._target.msisdns)
        return choose.choice(USUAL)

    async def _turn(self, budget: Budget, hop: Awaitable[Seen]) -> Seen:
        self.report.turns += 1
        try:
            seen = await hop
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            self.report.faults[f"exception {type(error).__name__}: {error}"] += 1
            return Seen("", ends=True)
        self._look(seen, budget)
        return seen

    def _look(self, seen: Seen, budget: Budget) -> None:
        report = self.report
        report.screens[seen.label] += 1
        if not fits(seen.text, budget):
            report.faults[f"{seen.label} is too long"] += 1
        if not seen.text and seen.label != "ignored":
            report.faults[f"{seen.label or 'a screen'} says nothing"] += 1
        report.slow += seen.label in SLOW
        if seen.ends:
            report.told.update(_references(seen))

    async def _retry(self, phone: Phone, budget: Budget, before: Seen) -> Seen:
        """The network's retry, twice at the same time: the same answer, and nothing done twice."""
        both = await asyncio.gather(self._turn(budget, phone.again()), self._turn(budget, phone.again()))
        # An answer is kept for a while only where hops have numbers; one that was not kept is played anew.
        if both[0].text != both[1].text and SLOW.isdisjoint({both[0].label, both[1].label}):
            self.report.faults[f"two answers to one hop at {before.label}"] += 1
        return both[0]

    async def _home(self, phone: Phone, budget: Budget, seen: Seen) -> Seen:
        """From wherever a person stands, 00 leads home: no screen is a dead end."""
        home = await self._turn(budget, phone.say("00"))
        if home.label == LOST:
            self.report.lost += 1
        elif home.label != HOME and home.label not in SLOW:
            self.report.faults[f"00 on {seen.label} leads to {home.label}"] += 1
        return home


async def second_effects(database: AsyncEngine, report: Report) -> list[str]:
    """References of what was done and told to nobody: the mark of something done twice. Empty is right.

    What a turn did that was answered too late is told by message, or when they dial again: so many may lack.
    """
    done = sa.select(operation.c.reference).where(operation.c.code == "ok", operation.c.source.op("~")(SOURCES))
    async with database.connect() as connection:
        untold = set((await connection.execute(done)).scalars()) - report.told
    return [] if len(untold) <= report.slow else sorted(untold)


async def populate(engine: Engine, people: int) -> list[str]:
    """Lines to hammer on: of all languages, with a PIN or without, with much money, little or none."""
    msisdns = sample_numbers(engine.operator.country, people)
    for number, msisdn in enumerate(msisdns):
        language = engine.operator.languages[number % len(engine.operator.languages)]
        line = await engine.create_line(msisdn, language=language, pin=PINS[number % len(PINS)])
        await give(engine, line, "something to spend", AMOUNTS[number % len(AMOUNTS)])
    return msisdns


def sample_numbers(country: str, count: int) -> list[str]:
    """Mobile numbers of a country, E.164, all like the example of its numbering plan. At most 9000."""
    example = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
    if example is None:
        raise LookupError(f"no mobile number of {country} is known")
    stem = phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-4]
    return [f"{stem}{number}" for number in range(1000, 1000 + count)]


def fits(text: str, budget: Budget) -> bool:
    """Whether a text is within a budget, in the alphabet that it needs."""
    counted = septets(text)
    return units(text) <= budget.ucs2 if counted is None else counted <= budget.septets


def _references(seen: Seen) -> Iterator[str]:
    """References on the screen: a word behind one that every language writes before it."""
    words = seen.text.replace("\n", " ").split(" ")
    for word in words:
        plain = word.strip(".,?!:")
        if len(plain) == 6 and plain.isascii() and plain.isalnum() and plain == plain.upper():
            yield plain
