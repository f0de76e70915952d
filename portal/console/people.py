"""Staff: who may sign in and as what, for administrators; and everybody's own account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from dialogs.values import Text, text
from engine.words import BadStaff, Role, StaffMember
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get, post

ADMIN = frozenset({Role.ADMIN})
#: who sees who is who
WATCHING = frozenset({Role.ADMIN, Role.AUDITOR})
NAME = "{name:[a-z][a-z0-9._-]{1,31}}"
#: why an account or password was not taken (``BadStaff``)
PROBLEMS = {
    "name": text("A name has 2 to 32 of a-z, 0-9, dot, dash and underscore, a letter first."),
    "taken": text("This name is taken."),
    "unknown": text("Nobody has this name."),
    "length": text("A password has 12 to 128 characters."),
    "guessable": text("This password is too easy to guess."),
}


class PeoplePages:
    """The pages of staff accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = Board(desk)
        self._staff = desk.engine.staff

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/staff", WATCHING, self._list),
            post("/staff", ADMIN, self._add),
            post(f"/staff/{NAME}/reset", ADMIN, self._reset),
            post(f"/staff/{NAME}/disable", ADMIN, self._disable),
            get("/me", STAFF, self._me),
            post("/me/password", STAFF, self._password),
        ]

    async def _list(self, request: web.Request, person: Attendant, problem: str = "", made: Any = None) -> web.Response:
        """Everybody; ``made`` are credentials, shown this once."""
        return self._board.page(
            request,
            person,
            "staff.html",
            status=422 if problem else 200,
            here="/staff",
            problem=problem,
            members=await self._staff.members(),
            roles=list(Role),
            made=made,
            may_change=person.may(ADMIN),
        )

    async def _add(self, request: web.Request, person: Attendant) -> web.Response:
        fields = await self._desk.form(request, person)
        role = Role(fields["role"]) if fields.get("role") in list(Role) else None
        if role is None:
            raise web.HTTPBadRequest(text="role: not one of ours")
        name = fields.get("name", "")
        return await self._credentials(
            request,
            person,
            fields.get("why", ""),
            lambda why: self._staff.add(name, role, by=person.staff, why=why),
        )

    async def _reset(self, request: web.Request, person: Attendant) -> web.Response:
        fields, name = await self._desk.form(request, person), request.match_info["name"]
        return await self._credentials(
            request, person, fields.get("why", ""), lambda why: self._staff.reset(name, by=person.staff, why=why)
        )

    async def _disable(self, request: web.Request, person: Attendant) -> web.Response:
        fields, name = await self._desk.form(request, person), request.match_info["name"]

        async def disable(why: str) -> None:
            """Nobody signs in with this name any more."""
            await self._staff.disable(name, by=person.staff.name, why=why)

        return await self._credentials(request, person, fields.get("why", ""), disable)

    async def _credentials(
        self, request: web.Request, person: Attendant, why: str, work: Callable[[str], Awaitable[Any]]
    ) -> web.Response:
        """Do it with a reason, to somebody else, and show what came of it once."""
        problem: Text | None = None
        if not why.strip():
            problem = text("A reason must be given.")
        elif request.match_info.get("name") == person.staff.name:
            problem = text("Nobody does this to themselves: ask another administrator.")
        if problem is not None:
            return await self._list(request, person, self._desk.say(person, problem))
        try:
            return await self._list(request, person, made=await work(why))
        except BadStaff as bad:
            return await self._list(request, person, self._desk.say(person, PROBLEMS[bad.reason]))

    # -- one's own --------------------------------------------------------------------------------------------------

    async def _me(self, request: web.Request, person: Attendant, problem: str = "") -> web.Response:
        status = 422 if problem else 200
        rules = self._desk.rules
        return self._board.page(
            request,
            person,
            "me.html",
            status=status,
            here="/me",
            problem=problem,
            idle_minutes=rules.idle_minutes,
            longest_hours=rules.longest_hours,
        )

    async def _password(self, request: web.Request, person: Attendant) -> web.Response:
        fields = await self._desk.form(request, person)
        fresh, member = fields.get("fresh", ""), person.staff
        if fresh != fields.get("again", ""):
            return await self._me(request, person, self._desk.say(person, text("The two passwords differ.")))
        proved = await self._staff.sign_in(member.name, fields.get("password", ""), fields.get("code", ""))
        if proved is None:
            said = text("Password or code is wrong, or too many wrong ones were tried.")
            return await self._me(request, person, self._desk.say(person, said))
        try:
            await self._staff.change_password(proved, fresh)
        except BadStaff as bad:
            return await self._me(request, person, self._desk.say(person, PROBLEMS[bad.reason]))
        # All sessions are over now, this one too: it begins anew.
        again: StaffMember | None = await self._staff.member(member.staff_id)
        if again is None:
            raise web.HTTPFound("/console/sign-in")
        return self._desk.go("/me?done=done", await self._desk.let_in(person, again))
