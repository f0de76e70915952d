"""Who is at a page in one request, and the page that they get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import aiohttp_jinja2
import structlog
from aiohttp import web
from babel.dates import format_skeleton

from dialogs.names import product_name
from dialogs.values import Clock, LastDay, Money, Quantity, Text, counted, text
from engine.api import Engine
from engine.words import BadNumber, LineStatus, Subscriber, Unit, UnknownLine
from portal.base.forms import fields_of
from portal.base.guard import from_our_own_page
from portal.base.sessions import Kept, Sessions, Visit
from portal.base.words import LEFT_TO_RIGHT_MARK, RIGHT_TO_LEFT, PageTexts
from settings import Operator

log = structlog.get_logger(__name__)

SIGN_IN = "/portal/sign-in"
#: what a person chose before they signed in
LANGUAGE_COOKIE = "rasid_language"
#: characters of any field that a form sends
FIELD_MOST = 64
#: what a form is shown again without
NEVER_SHOWN = frozenset({"form", "once", "pin", "fresh", "again", "code"})
TYPED: web.RequestKey[dict[str, str]] = web.RequestKey("typed", dict)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at the page: a visit, the language to speak, and the line once somebody has signed in."""

    visit: Visit[Kept]
    language: str
    line: Subscriber | None = None

    @property
    def subscriber(self) -> Subscriber:
        """The line. Only pages behind ``Desk.signed_in`` ask."""
        if self.line is None:
            raise web.HTTPFound(SIGN_IN)
        return self.line


Page = Callable[[web.Request, Person], Awaitable[web.StreamResponse]]


class Desk:
    """Receives people: finds out who they are, checks their forms, makes their pages."""

    def __init__(self, engine: Engine, operator: Operator, sessions: Sessions[Kept], *, secure: bool) -> None:
        """``secure``: pages are served by https, so cookies go nowhere else."""
        self.engine = engine
        self.operator = operator
        self.sessions = sessions
        self.texts = PageTexts(operator.languages, operator.timezone)
        self.zone = ZoneInfo(operator.timezone)
        self._secure = secure
        # RFC 6265bis §4.1.3: nobody but this very host can set it.
        self._cookie = "__Host-rasid_portal" if secure else "rasid_portal"

    # -- receiving --------------------------------------------------------------------------------------------------

    def open_to_all(self, page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A page for whoever comes."""

        async def serve(request: web.Request) -> web.StreamResponse:
            """With whoever it is, signed in or not."""
            return await page(request, await self._person(request))

        return serve

    def signed_in(self, page: Page, *, renew: bool = True) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A page for lines that have proved themselves; others are asked to sign in.

        ``renew`` is false for what an open page asks by itself: nobody need be there.
        """

        async def serve(request: web.Request) -> web.StreamResponse:
            """With the line that has signed in; without one, the page to sign in on."""
            person = await self._person(request, renew=renew)
            if person.line is None:
                raise web.HTTPFound(SIGN_IN)
            return await page(request, person)

        return serve

    async def _person(self, request: web.Request, *, renew: bool = True) -> Person:
        cookie = request.cookies.get(self._cookie, "")
        visit = await self.sessions.find(cookie, renew=renew) or self.sessions.visitor(cookie)
        wished = self._wished(request)
        if not visit.kept.signed_in:
            return Person(visit, wished)
        try:
            line = await self.engine.subscriber(visit.kept.msisdn)
        except (BadNumber, UnknownLine):
            line = None
        if line is None or line.status is LineStatus.TERMINATED or line.line_id != visit.kept.line_id:
            await self.sessions.end(visit)
            return Person(self.sessions.visitor(""), wished)
        return Person(visit, self.texts.language(line.language), line)

    async def only_line(self, person: Person) -> UUID | None:
        """The line whose doings the person may see; None for the account's owner, who may see those of all lines."""
        return await self.engine.leaving.only_line(person.subscriber)

    def _wished(self, request: web.Request) -> str:
        """The language that who has not signed in is spoken to."""
        wished = request.query.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "")
        if wished in self.operator.languages:
            return wished
        return self.texts.preferred(request.headers.get("Accept-Language", ""))

    async def form(self, request: web.Request, person: Person) -> Mapping[str, str]:
        """What a form of ours sent. Raises 403 for one that another site, or an older session, made; 400 for none."""
        fields = await fields_of(request, FIELD_MOST)
        if not from_our_own_page(request) or fields.get("form") != self.sessions.form_token(person.visit):
            log.info("portal_form_refused")
            raise web.HTTPForbidden(text="form: made by another site, or for an older session")
        request[TYPED] = {name: value for name, value in fields.items() if name not in NEVER_SHOWN}
        return fields

    # -- answering --------------------------------------------------------------------------------------------------

    def page(
        self,
        request: web.Request,
        person: Person,
        template: str,
        *,
        here: str = "",
        problem: str = "",
        notice: str = "",
        status: int = 0,
        **values: Any,
    ) -> web.Response:
        """A page in the person's language: 422 where a form of theirs has a ``problem``, unless ``status`` is given.

        ``here``: the path of the entry in the navigation; ``notice``: what has been done. Templates fill a form that
        had a problem with what was ``typed``.
        """
        said = {"here": here, "problem": problem, "notice": notice, "typed": request.get(TYPED, {})}
        context = self.context(person) | said | values
        status = status or (422 if problem else 200)
        response = aiohttp_jinja2.render_template(template, request, context, status=status)
        self.remember(response, person)
        return response

    async def fault(self, request: web.Request, status: int, heading: Text, sentence: Text) -> web.Response:
        """The page of a refusal or fault; it asks neither Redis nor the books, which may be what is away."""
        person = Person(self.sessions.visitor(request.cookies.get(self._cookie, "")), self._wished(request))
        said = {"heading": self.say(person, heading), "sentence": self.say(person, sentence)}
        context = {**self.context(person), "problem": "", "notice": "", **said}
        return aiohttp_jinja2.render_template("fault.html", request, context, status=status)

    def part(self, request: web.Request, person: Person, template: str, **values: Any) -> str:
        """A part of a page, as it is put in its place later."""
        return aiohttp_jinja2.render_string(template, request, {**self.context(person), **values})

    def remember(self, response: web.Response, person: Person) -> None:
        """Let the browser hold the session's cookie."""
        kept = {"httponly": True, "samesite": "Lax", "path": "/", "secure": self._secure}
        response.set_cookie(self._cookie, person.visit.cookie, **kept)  # type: ignore[arg-type]
        response.set_cookie(LANGUAGE_COOKIE, person.language, max_age=365 * 86_400, **kept)  # type: ignore[arg-type]

    def context(self, person: Person) -> dict[str, Any]:
        """What every template may use."""
        write = partial(self.texts.write, person.language)
        currency = self.operator.currency if person.line is None else person.line.currency
        return {
            "operator": self.operator,
            "person": person,
            "language": person.language,
            "direction": "rtl" if person.language in RIGHT_TO_LEFT else "ltr",
            "form_token": self.sessions.form_token(person.visit),
            "say": lambda message, **values: self.say(person, text(message, **values)),
            "counted": lambda one, many, count, **values: self.say(person, counted(one, many, count, **values)),
            "write": write,
            "money": lambda amount: write(Money(amount, currency)),
            "amount": lambda unit, amount: write(Quantity(Unit(unit), amount, currency)),
            "signed": partial(self.signed, person),
            "product": partial(self.product, person),
            "day": lambda at: write(LastDay(at)),
            "clock": lambda at: write(Clock(at)),
            "moment": partial(self.when, person),
            "short": partial(format_skeleton, "MMMd", locale=person.language),
            "gives": bool(self.operator.policy.transfers and self.operator.transfers),
        }

    def product(self, person: Person, code: str) -> str:
        """The name of a product, or of the main money."""
        return self.texts.write(person.language, product_name(self.operator, code))

    @staticmethod
    def signed(person: Person, sign: str, said: str) -> str:
        """An amount with its sign, which stays on its number's left where people write from the right (UAX #9)."""
        return f"{LEFT_TO_RIGHT_MARK if person.language in RIGHT_TO_LEFT else ''}{sign}{said}"

    def say(self, person: Person, said: Text) -> str:
        """A text in the person's language."""
        return self.texts.say(person.language, said)

    def when(self, person: Person, at: datetime) -> str:
        """Day and time as short as they can be told; of another year, the day with it."""
        local = at.astimezone(self.zone)
        near = local.year == datetime.now(self.zone).year
        day: str = format_skeleton("MMMd" if near else "yMMMd", local, tzinfo=self.zone, locale=person.language)
        return f"{day} {local:%H:%M}"

    def moment(self, at: datetime) -> str:
        """Day and time in the operator's zone."""
        return f"{at.astimezone(self.zone):%d/%m/%Y %H:%M}"
