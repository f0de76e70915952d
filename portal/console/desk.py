"""Who of the staff is at a page in one request, what their role lets them open, and the page that they get."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import aiohttp_jinja2
import structlog
from aiohttp import web

from dialogs.names import product_name
from dialogs.values import LastDay, Money, Quantity, Text, counted, text
from engine.api import Engine
from engine.words import Role, StaffMember, Unit
from portal.base.forms import fields_of, no_nul
from portal.base.guard import from_our_own_page
from portal.base.sessions import Began, Sessions, Visit
from portal.base.words import LANGUAGES, RIGHT_TO_LEFT
from portal.console.navigation import NAVIGATION, Entry, in_language
from portal.console.words import ConsoleTexts
from settings import ConsoleSettings, Operator

log = structlog.get_logger(__name__)

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"
LANGUAGE_COOKIE = "rasid_console_language"
#: characters of any field that a form sends
FIELD_MOST = 500
#: what a form is shown again without
NEVER_SHOWN = frozenset({"form", "once", "password", "code", "fresh", "again"})
TYPED: web.RequestKey[dict[str, str]] = web.RequestKey("typed", dict)

#: whoever has signed in
STAFF = frozenset(Role)
#: who does something, and does not only look
ACTING = frozenset({Role.SUPPORT, Role.FINANCE, Role.ADMIN})


ROLE_NAMES = {
    Role.SUPPORT: text("Support"),
    Role.FINANCE: text("Finance"),
    Role.ADMIN: text("Administrator"),
    Role.AUDITOR: text("Auditor"),
}


class Present(Began, frozen=True):
    """What is known of who is at a page of the console."""

    #: the hexadecimal id; ``""`` before anybody has signed in
    staff_id: str = ""
    #: the person's ``epoch`` when they signed in
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Attendant:
    """Who is at the page: a visit, the language to speak, and who it is once somebody has signed in."""

    visit: Visit[Present]
    language: str
    member: StaffMember | None = None

    @property
    def staff(self) -> StaffMember:
        """The person. Only pages with roles ask."""
        if self.member is None:
            raise web.HTTPFound(SIGN_IN)
        return self.member

    @property
    def source(self) -> str:
        """Who asks, in the books: ``console:alice``."""
        return f"console:{self.staff.name}"

    def may(self, roles: frozenset[Role]) -> bool:
        """Whether they have one of these roles."""
        return self.member is not None and self.member.role in roles


Page = Callable[[web.Request, Attendant], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """One route of the console below ``/console``, and who may use it. No role: whoever comes (signing in)."""

    method: str
    path: str
    roles: frozenset[Role]
    page: Page
    #: what an open page asks by itself: nobody is there, so it makes no session last longer
    follows: bool = False


def get(path: str, roles: frozenset[Role], page: Page, *, follows: bool = False) -> Route:
    """A page to read."""
    return Route("GET", path, roles, page, follows)


def post(path: str, roles: frozenset[Role], page: Page) -> Route:
    """What a form does."""
    return Route("POST", path, roles, page)


class Desk:
    """Receives staff: finds out who they are, lets them in by role, checks their forms, makes their pages."""

    def __init__(
        self, engine: Engine, operator: Operator, sessions: Sessions[Present], rules: ConsoleSettings, *, secure: bool
    ) -> None:
        """``secure``: pages are served by https, so cookies go nowhere else."""
        self.engine = engine
        self.operator = operator
        self.sessions = sessions
        self.rules = rules
        self.texts = ConsoleTexts(operator.timezone)
        self.zone = ZoneInfo(operator.timezone)
        self._secure = secure
        # RFC 6265bis §4.1.3: nobody but this very host can set it.
        self._cookie = "__Host-rasid_console" if secure else "rasid_console"
        self._doors: dict[str, frozenset[Role]] = {}

    # -- receiving --------------------------------------------------------------------------------------------------

    def serve(self, routes: Sequence[Route]) -> list[web.RouteDef]:
        """Routes behind the check of their roles: the only way by which a page of the console is reached."""
        self._doors |= {one.path: one.roles for one in routes if one.method == "GET"}
        return [web.route(one.method, one.path, self._guarded(one)) for one in routes]

    def _guarded(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            """Signed in, and of a role that may see it; what follows a page by itself keeps nobody signed in."""
            no_nul(request.path, *request.query.keys(), *request.query.values())
            person = await self._attendant(request, renew=not route.follows)
            if not route.roles:
                return await route.page(request, person)
            if person.member is None:
                raise web.HTTPFound(SIGN_IN)
            if person.member.role not in route.roles:
                log.warning("console_refused", staff=person.member.name, role=person.member.role, path=route.path)
                return self.page(request, person, "refused.html", status=403)
            return await route.page(request, person)

        return serve

    async def _attendant(self, request: web.Request, *, renew: bool) -> Attendant:
        cookie = request.cookies.get(self._cookie, "")
        visit = await self.sessions.find(cookie, renew=renew) or self.sessions.visitor(cookie)
        wished = self._wished(request)
        if not visit.kept.staff_id:
            return Attendant(visit, wished)
        member = await self._member(visit)
        if member is None:
            await self.sessions.end(visit)
            return Attendant(self.sessions.visitor(""), wished)
        return Attendant(visit, wished, member)

    async def _member(self, visit: Visit[Present]) -> StaffMember | None:
        """Who signed in for this session; None once they are disabled, reset or have changed their password."""
        member = await self.engine.staff.member(UUID(visit.kept.staff_id))
        valid = member is not None and member.disabled_at is None and member.epoch == visit.kept.epoch
        return member if valid else None

    async def stays(self, person: Attendant) -> bool:
        """Whether who has signed in still may look, without making their session last longer."""
        return await self.sessions.lasts(person.visit) and await self._member(person.visit) is not None

    def _wished(self, request: web.Request) -> str:
        """The language to speak."""
        wished = request.query.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "")
        return wished if wished in LANGUAGES else self.texts.preferred(request.headers.get("Accept-Language", ""))

    async def let_in(self, person: Attendant, member: StaffMember) -> Attendant:
        """Begin a session under a fresh id, and end the one that they came with."""
        await self.sessions.end(person.visit)
        kept = Present(began_at=time.time(), staff_id=member.staff_id.hex, epoch=member.epoch)
        return Attendant(await self.sessions.begin(kept), person.language, member)

    async def form(self, request: web.Request, person: Attendant) -> Mapping[str, str]:
        """What a form of ours sent. Raises 403 for one that another site, or an older session, made; 400 for none."""
        fields = await fields_of(request, FIELD_MOST)
        if not from_our_own_page(request) or fields.get("form") != self.sessions.form_token(person.visit):
            log.warning("console_form_refused", path=request.path)
            raise web.HTTPForbidden(text=self.say(person, text("This page is too old. Please open it again.")))
        request[TYPED] = {name: value for name, value in fields.items() if name not in NEVER_SHOWN}
        return fields

    # -- answering --------------------------------------------------------------------------------------------------

    def page(
        self, request: web.Request, person: Attendant, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        """A page in the person's language. ``here`` is its path in the navigation.

        ``typed`` gives templates what was typed into the form whose action ends so, to fill it again after a problem.
        """
        context = {"here": None, "problem": "", "notice": "", **self.context(person), **values}
        typed = request.get(TYPED, {}) if context["problem"] else {}
        context["typed"] = lambda *actions: typed if request.path.endswith(actions) else {}
        back = SIGN_IN if request.path == SIGN_IN else f"{ROOT}{context['here'] or ''}"
        context["in_language"] = in_language(request, back)
        response = aiohttp_jinja2.render_template(template, request, context, status=status)
        self.remember(response, person)
        return response

    async def fault(self, request: web.Request, status: int, heading: Text, sentence: Text) -> web.Response:
        """The page of a refusal or fault; it asks neither Redis nor the books, which may be what is away."""
        person = Attendant(self.sessions.visitor(request.cookies.get(self._cookie, "")), self._wished(request))
        said = {"heading": self.say(person, heading), "sentence": self.say(person, sentence)}
        context = {**self.context(person), "here": None, "problem": "", "notice": "", **said}
        context["in_language"] = in_language(request, SIGN_IN if request.path == SIGN_IN else ROOT)
        return aiohttp_jinja2.render_template("fault.html", request, context, status=status)

    def part(self, request: web.Request, person: Attendant, template: str, **values: Any) -> str:
        """A part of a page, as it is put in its place later."""
        return aiohttp_jinja2.render_string(template, request, {**self.context(person), **values})

    def go(self, where: str, person: Attendant) -> web.Response:
        """To another page below ``/console``, with GET (RFC 9110 §15.4.4)."""
        response = web.Response(status=303, headers={"Location": f"{ROOT}{where}"})
        self.remember(response, person)
        return response

    def remember(self, response: web.Response, person: Attendant) -> None:
        """Let the browser hold the session's cookie; no other site's link brings it along."""
        kept = {"httponly": True, "samesite": "Strict", "path": "/", "secure": self._secure}
        response.set_cookie(self._cookie, person.visit.cookie, **kept)  # type: ignore[arg-type]
        response.set_cookie(LANGUAGE_COOKIE, person.language, max_age=365 * 86_400, **kept)  # type: ignore[arg-type]

    def context(self, person: Attendant) -> dict[str, Any]:
        """What every template may use."""
        write = partial(self.texts.write, person.language)
        currency, rtl = self.operator.currency, person.language in RIGHT_TO_LEFT
        return {
            "operator": self.operator,
            "person": person,
            "navigation": self._navigation(person),
            "language": person.language,
            "languages": LANGUAGES,
            "direction": "rtl" if rtl else "ltr",
            "form_token": self.sessions.form_token(person.visit),
            "say": lambda message, **values: self.say(person, text(message, **values)),
            "counted": lambda one, many, count, **values: self.say(person, counted(one, many, count, **values)),
            "write": write,
            "money": lambda amount, of=currency: write(Money(amount, of)),
            "amount": lambda unit, amount, of=currency: write(Quantity(Unit(unit), amount, of)),
            "product": lambda code: write(product_name(self.operator, code)),
            "moment": lambda at: f"\u2066{self.moment(at)}\u2069" if rtl else self.moment(at),
            "day": lambda at: write(LastDay(at)),
            "comma": "\u060c " if rtl else ", ",
            "role_name": lambda role: self.say(person, ROLE_NAMES[role]),
        }

    def _navigation(self, person: Attendant) -> list[tuple[str, list[tuple[Entry, str]]]]:
        shown = []
        for group, entries in NAVIGATION:
            seen = [(one, self.say(person, one.name)) for one in entries if person.may(self._doors[one.path])]
            if seen:
                shown.append((self.say(person, group), seen))
        return shown

    def say(self, person: Attendant, said: Text) -> str:
        """A text in the person's language."""
        return self.texts.say(person.language, said)

    def moment(self, at: datetime | None) -> str:
        """Day and time in the operator's zone; a dash for never."""
        return "–" if at is None else f"{at.astimezone(self.zone):%d/%m/%Y %H:%M:%S}"
