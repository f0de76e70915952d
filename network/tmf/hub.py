"""TM Forum's hub (TMF630 part 1, notifications): who is told of events."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from aiohttp import web

from engine.api import Engine
from network.endpoints import Endpoint
from network.http import CLIENT, Problem, json_response, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD
from network.tmf.lines import NOT_FOUND

_INPUT: Any = msgspec.json.Decoder(wire.SubscriptionInput)


class Hub:
    """The subscriptions of each client."""

    def __init__(self, engine: Engine, root: str) -> None:
        self._events = engine.events
        self._path = f"{root}/hub"

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is offered."""
        given, answer = wire.SubscriptionInput, wire.EventSubscription
        one = f"{self._path}/{{id}}"
        return (
            Endpoint("POST", self._path, "events", self.subscribe, "Be told of events", 201, answer, given),
            Endpoint("GET", self._path, "events", self.list, "Your subscriptions", 200, list[wire.EventSubscription]),
            Endpoint("DELETE", one, "events", self.unsubscribe, "Be told no more", 204, None),
        )

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """``POST /hub``. A secret that was made here is told once, in this answer."""
        asked: wire.SubscriptionInput = await read_json(request, _INPUT, BAD)
        secret = asked.secret or secrets.token_urlsafe(32)
        try:
            made = await self._events.subscribe(
                asked.callback, query=asked.query, secret=secret, by=f"api:{request[CLIENT]}"
            )
        except ValueError as error:
            field, _, reason = str(error).partition(": ")
            raise wrong(BAD, field, reason) from None
        name = str(made.subscription_id)
        told = wire.EventSubscription(
            id=name, callback=made.callback, query=made.query, secret=None if asked.secret else secret
        )
        return json_response(told, 201, {"Location": f"{self._path}/{name}"})

    async def list(self, request: web.Request) -> web.StreamResponse:
        """``GET /hub``: this client's, without secrets."""
        mine = [one for one in await self._events.list() if one.made_by == f"api:{request[CLIENT]}"]
        return json_response(
            [
                wire.EventSubscription(id=str(one.subscription_id), callback=one.callback, query=one.query)
                for one in mine
            ]
        )

    async def unsubscribe(self, request: web.Request) -> web.StreamResponse:
        """``DELETE /hub/{id}``: by the client that made it."""
        by = f"api:{request[CLIENT]}"
        mine = {str(one.subscription_id): one for one in await self._events.list() if one.made_by == by}
        found = mine.get(request.match_info["id"])
        if found is None:
            raise Problem(404, NOT_FOUND, "no such subscription")
        await self._events.unsubscribe(found.subscription_id, by=by)
        return web.Response(status=204)
