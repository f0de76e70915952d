"""Messages: those that were given up, to be sent again, and campaigns with what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from aiohttp import web

from dialogs.values import text
from engine.words import Role
from portal.console.board import Board
from portal.console.desk import ACTING, STAFF, Attendant, Desk, Route, get, post
from portal.console.paging import ROWS, read_key, write_key
from portal.console.reasons import NotDone
from portal.console.request_names import TOPICS

CAMPAIGNING = frozenset({Role.ADMIN, Role.AUDITOR, Role.SUPPORT})


class NotificationPages:
    """What was to be told, and was not."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._engine = desk.engine

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/notifications", STAFF, self._parked),
            get("/notifications/{message_id}", STAFF, self._message),
            post("/notifications/{message_id}/resend", ACTING, self._resend),
            get("/campaigns", CAMPAIGNING, self._campaigns),
            get("/campaigns/{name}", CAMPAIGNING, self._campaign),
        ]

    async def _parked(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_key(request)
        rows = await self._engine.parked_messages(ROWS + 1, before=after)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "notifications.html",
            here="/notifications",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.created_at, last.message_id),
            first=after is None,
            topics=TOPICS,
        )

    async def _message(self, request: web.Request, person: Attendant) -> web.Response:
        message_id = _id(request)
        events = await self._engine.message_history(message_id)
        if not events:
            raise web.HTTPNotFound
        return self._board.page(
            request,
            person,
            "notification.html",
            here="/notifications",
            message_id=message_id,
            events=events,
            may_resend=person.may(ACTING),
        )

    async def _resend(self, request: web.Request, person: Attendant) -> web.Response:
        message_id = _id(request)

        async def work(fields: Mapping[str, str]) -> str:
            """Sends it again, if it is given up still."""
            detail = {"messages": [str(message_id)]}
            async with self._engine.audit.doing(
                "notify.resend", by=person.staff.name, why=fields["why"], detail=detail
            ):
                if not await self._engine.resend_message(message_id):
                    raise NotDone(text("This message is not given up (any more)."))
            return "/notifications?done=resent"

        return await self._board.act(request, person, self._message, work)

    async def _campaigns(self, request: web.Request, person: Attendant) -> web.Response:
        after = read_key(request)
        rows = await self._engine.campaigns.page(before=after, limit=ROWS + 1)
        last = rows[ROWS - 1] if len(rows) > ROWS else None
        return self._board.page(
            request,
            person,
            "campaigns.html",
            here="/campaigns",
            rows=rows[:ROWS],
            following="" if last is None else write_key(last.started_at, last.campaign_id),
            first=after is None,
        )

    async def _campaign(self, request: web.Request, person: Attendant) -> web.Response:
        try:
            campaign = await self._engine.campaigns.find(request.match_info["name"])
        except LookupError as error:
            raise web.HTTPNotFound from error
        outcome = await self._engine.campaigns.outcome(campaign)
        return self._board.page(
            request,
            person,
            "campaign.html",
            here="/campaigns",
            campaign=campaign,
            outcome=[(name.partition(": "), count) for name, count in outcome.items()],
            total=sum(outcome.values()),
        )


def _id(request: web.Request) -> UUID:
    """The message that the path names. Raises 404."""
    try:
        return UUID(request.match_info["message_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
