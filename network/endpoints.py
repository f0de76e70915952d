"""What an interface offers, said once: its routes and its published description both come from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from network.http import Gate, Handler, Problem
from settings import Right


class Parameter(NamedTuple):
    """One parameter of a path's query, or a header."""

    name: str
    description: str
    place: str = "query"
    required: bool = False
    schema: Mapping[str, Any] = {"type": "string"}


class Endpoint(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    right: Right
    handler: Handler
    #: what it is for, in one line
    summary: str
    #: status of the good answer, and the model of its body (None: no body)
    status: int
    answer: Any
    #: the model of the request's body
    body: Any = None
    parameters: tuple[Parameter, ...] = ()
    #: statuses of refusals, beside 401 and 403
    refusals: tuple[int, ...] = (400, 404)


class Interface(NamedTuple):
    """The endpoints of one specification, and how its refusals look."""

    name: str
    #: what all its paths begin with
    root: str
    endpoints: tuple[Endpoint, ...]
    refuse: Callable[[Problem], web.Response]
    #: the model of a refusal's body, and its content type
    refusal: Any
    refusal_type: str

    def routes(self, gate: Gate) -> list[web.RouteDef]:
        """What is mounted, each for clients with the endpoint's right; all else below its root is refused."""
        methods: dict[str, list[str]] = {}
        for one in self.endpoints:
            methods.setdefault(one.path, []).append(one.method)
        return [
            *(
                web.route(one.method, one.path, gate.open(one.right, one.handler, self.refuse))
                for one in self.endpoints
            ),
            *(web.route("*", path, self._without(", ".join(offered))) for path, offered in methods.items()),
            web.route("*", f"{self.root}{{rest:(/.*)?}}", self._without("")),
        ]

    def _without(self, methods: str) -> Handler:
        """Answers where there is nothing, or only ``methods`` (RFC 9110 §15.5.5, §15.5.6)."""

        async def refused(_request: web.Request) -> web.StreamResponse:
            """404 or 405, for whoever asks: the description says as much."""
            if not methods:
                return self.refuse(Problem(404, "NOT_FOUND", "no such path"))
            answer = self.refuse(Problem(405, "METHOD_NOT_ALLOWED", f"{methods} is meant"))
            answer.headers["Allow"] = methods
            return answer

        return refused
