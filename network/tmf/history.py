"""TMF654: what was done to a balance, by whatever way it was asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import Answer
from network.endpoints import Endpoint
from network.http import Problem, json_response
from network.tmf import wire
from network.tmf.actions import ADJUST, TOPUP, TRANSFER
from network.tmf.answers import FIELDS, PAGING, chosen, cursor, filters, listed, matching, page_of
from network.tmf.asking import INTERFACE
from network.tmf.buckets import LINE
from network.tmf.lines import NOT_FOUND, ROOT, Lines, Owner, line_of
from network.tmf.rendering import Rendering

HISTORY = "balanceActionHistory"


class History:
    """Lists of balance actions, the latest first."""

    def __init__(self, engine: Engine, lines: Lines, rendering: Rendering) -> None:
        self._engine = engine
        self._lines = lines
        self._rendering = rendering

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        many, query = list[wire.BalanceAction], (LINE, FIELDS, *PAGING)
        one = f"{ROOT}/{HISTORY}/{{id}}"
        said = "Those of a line that were asked for here"
        return (
            *(
                Endpoint("GET", f"{ROOT}/{path}", "balances", partial(self.list, path), said, 200, many, None, query)
                for path in (TOPUP, ADJUST, TRANSFER)
            ),
            Endpoint(
                "GET",
                f"{ROOT}/{HISTORY}",
                "balances",
                partial(self.list, HISTORY),
                "What changed a line's account, of the account's owner by any of its lines, and what was refused",
                200,
                many,
                None,
                query,
            ),
            Endpoint("GET", one, "balances", self.get, "One of them", 200, wire.BalanceAction, None, (FIELDS,)),
        )

    async def list(self, path: str, request: web.Request) -> web.StreamResponse:
        """``GET /…?logicalResource.id=``: page after page by ``after``."""
        page = page_of(request)
        subscriber = await self._lines.subscriber(request.query.get(LINE.name, ""), LINE.name)
        sources = () if path == HISTORY else (f"{INTERFACE}.{path}:",)
        wanted = page.offset + page.limit + 1
        # What other lines of a shared account did is its owner's to be told.
        only = await self._engine.leaving.only_line(subscriber)
        which: Any = {"sources": sources, "line_id": only, "idle": False}
        found = await self._engine.operations(subscriber.account, **which, after=page.after, most=wanted)
        shown = found[page.offset : page.offset + page.limit]
        last = shown[-1].answer if len(found) == wanted and shown else None
        owner = Owner(line_of(subscriber), subscriber.msisdn)
        told = [self._rendering.action(path, owner, one.answer) for one in shown]
        one_page = last is None and page.offset == 0 and page.after is None
        counted = not one_page and not filters(request)
        return listed(
            request,
            matching(request, told),
            total=await self._engine.count_operations(subscriber.account, **which) if counted else None,
            following=None if last is None else cursor(last.booked_at, last.key),
        )

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``GET /balanceActionHistory/{id}``."""
        owner, key = await self._lines.by_reference(request.match_info["id"], HISTORY)
        found = await self._engine.explain(owner.line.account, key)
        if found is None:
            raise Problem(404, NOT_FOUND, f"no such {HISTORY}")
        answer = msgspec.convert(found["answer"], Answer)
        return json_response(chosen(request, self._rendering.action(HISTORY, owner, answer)))
