"""The sandbox's Bot API server, made to fail as the real one sometimes does."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.bot_api.server import BotApi as Sandbox
from sandbox.bot_api.wire import Refused

TOKEN = "987654:double"


@dataclass
class Fault:
    """What happens to the next calls of a method: a refusal, or its answer lost after the work was done."""

    refused: Refused | None
    times: int


class BotApi(Sandbox):
    """The server of one test."""

    def __init__(self) -> None:
        super().__init__(TOKEN)
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)

    def refuse(self, method: str, status: int, description: str, *, retry_after: int = 0, times: int = 1) -> None:
        """The next calls of ``method`` are refused before anything is done."""
        parameters = {"retry_after": retry_after} if retry_after else None
        self._faults[method].append(Fault(Refused(status, description, parameters), times))

    def lose_answer(self, method: str, times: int = 1) -> None:
        """The next calls of ``method`` take effect, and their answer never arrives."""
        self._faults[method].append(Fault(None, times))

    async def call(self, method: str, given: dict[str, Any]) -> Any:
        faults = self._faults[method]
        if faults and faults[0].refused is not None:
            raise self._next(method).refused
        return await super().call(method, given)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = await super()._serve(request)
        method = request.match_info["method"]
        if self._faults[method] and self._faults[method][0].refused is None and response.status == 200:
            self._next(method)
            assert request.transport is not None
            request.transport.close()
        return response

    def _next(self, method: str) -> Fault:
        fault = self._faults[method][0]
        fault.times -= 1
        if fault.times <= 0:
            self._faults[method].popleft()
        return fault
