"""What all balance actions share: how they are asked for, found again and written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import msgspec
from aiohttp import web

from engine.api import Engine
from engine.words import Adjust, Answer, Operation, Unit
from network.http import CLIENT, Problem, json_response, read_json, wrong
from network.tmf import wire
from network.tmf.amounts import BAD, written
from network.tmf.answers import IDEMPOTENCY
from network.tmf.lines import NOT_FOUND, Lines, Owner
from network.tmf.refusals import refusal
from network.tmf.rendering import Rendering

#: who asks, in the engine's books
INTERFACE = "tmf654"

_UPDATE: Any = msgspec.json.Decoder(wire.StatusUpdate)


class Asking:
    """Operations for the clients of TMF654."""

    def __init__(self, engine: Engine, lines: Lines, rendering: Rendering) -> None:
        self._engine = engine
        self.lines = lines
        self.rendering = rendering

    def said(self, request: web.Request, path: str, owner: Owner) -> dict[str, Any]:
        """What every operation says, but its key."""
        source = f"{INTERFACE}.{path}:{request[CLIENT]}"
        line = owner.line
        return {"account": line.account, "line_id": line.line_id, "asked_at": datetime.now(UTC), "source": source}

    def common(self, request: web.Request, path: str, owner: Owner) -> dict[str, Any]:
        """What every operation says. Raises ``Problem`` for an ``Idempotency-Key`` that is none."""
        return self.said(request, path, owner) | {"key": _key(request, path)}

    async def post(self, operation: Operation) -> Answer:
        """Do it. Raises ``Problem`` where it is refused."""
        answer = await self._engine.post(operation)
        if not answer.ok:
            raise refusal(answer, self._known(operation, answer))
        return answer

    def _known(self, operation: Operation, answer: Answer) -> str:
        """What a refusal says beside its code: the fee that would be asked, what is missing, what is allowed."""
        corrected = operation.unit if isinstance(operation, Adjust) else Unit.MONEY
        units = {"fee": Unit.MONEY, "missing": corrected}
        said = {}
        for name in ("fee", "missing", "least", "most", "left", "cap", "locked_until"):
            if name in answer.details:
                known = answer.details[name]
                said[name] = written(known, units[name], self.lines.currency) if name in units else known
        return ", ".join(f"{name} {known}" for name, known in said.items())

    async def done(self, path: str, owner: Owner, operation: Operation, asked: wire.ActionCreate) -> web.Response:
        """Do it, and answer with what was made."""
        return self.created(path, owner, await self.post(operation), asked)

    def created(self, path: str, owner: Owner, answer: Answer, asked: wire.ActionCreate) -> web.Response:
        """201 with the resource that an operation made."""
        made = self.rendering.action(path, owner, answer, asked=asked)
        return json_response(made, 201, {"Location": made.href})

    async def stored(self, owner: Owner, key: UUID, path: str, operation_key: UUID | None = None) -> Answer:
        """What was answered when a resource was made, under its own ``key``. Raises ``Problem`` 404."""
        found = await self._engine.explain(owner.line.account, operation_key or key)
        if found is None:
            raise Problem(404, NOT_FOUND, f"no such {path}")
        return msgspec.structs.replace(msgspec.convert(found["answer"], Answer), key=key)


async def cancelled(request: web.Request) -> None:
    """The body of a PATCH, which may only cancel. Raises ``Problem``."""
    asked: wire.StatusUpdate = await read_json(request, _UPDATE, BAD)
    if asked.status != "cancelled":
        raise wrong(BAD, "status", "only cancelled is meant")


def _key(request: web.Request, path: str) -> UUID:
    """The operation's key: the client's own for it. Without one every request is an intent of its own."""
    given = request.headers.get(IDEMPOTENCY.name)
    if given is None:
        return uuid4()
    if not 1 <= len(given) <= 255 or not given.isprintable():
        raise wrong(BAD, IDEMPOTENCY.name, "1 to 255 printable characters are meant")
    return uuid5(NAMESPACE_OID, "|".join((INTERFACE, path, request[CLIENT], given)))
