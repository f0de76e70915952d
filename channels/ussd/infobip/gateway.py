"""Infobip USSD.

The gateway is given an address and adds the session and the step to it: POST or PUT ``…/session/{id}/start`` and
``…/response`` (JSON ``msisdn text``, and ``imsi shortCode language optional ussdGwId`` where it knows them), ``…/end``
(``exitCode reason``: no number), and GET ``…/status``.

Answers: JSON, always with ``responseExitCode`` and ``responseMessage``. To ``start`` and ``response`` ``ussdMenu`` and
``shouldClose``; the very first one must be a menu, so a session that we end at once is ended by the person's next
input. To ``status`` ``sessionActive``. Errors have an exit code of 400.

Source: vumi/transports/infobip/infobip.py and its documentation. Hops are not numbered. Timers are the networks':
three minutes are the longest that is common.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd, SessionQuery
from channels.ussd.fields import SESSION_ID, dialled, json_object, number, optional, typed, word
from configuration.options import OptionsModel, read_options

SHORT_CODE = re.compile(r"[0-9*#]{1,80}")
EXIT_CODE = re.compile(r"-?[0-9]{1,6}")
EVENTS = {"start": Event.NEW, "response": Event.RESUME, "end": Event.CLOSE, "status": Event.RESUME}
#: an end is counted by this: 200 is a session that ran its course
SUCCESS = "200"


class Gateway(Adapter):
    """The adapter of one configured Infobip application."""

    session_seconds = 180
    outcomes = frozenset({"success", "failed"})
    methods = frozenset({"GET", "POST", "PUT"})
    paths = ("/session/{session}/{step:start|response|end|status}",)

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        read_options(OptionsModel, options)
        self._name = name
        self._service_code = service_code

    def read(self, request: Request) -> Turn | SessionEnd | SessionQuery:
        """A hop, the session's end, or whether it still lives. Raises ``Malformed``."""
        step = request.parts["step"]
        if step == "status":
            return SessionQuery(self._turn(request, {}, step, ""))
        if request.method == "GET":
            raise Malformed("method", "POST or PUT is meant")
        fields = json_object(request.body)
        if step == "end":
            code = optional(fields, "exitCode", EXIT_CODE)
            return SessionEnd(self._turn(request, fields, step, ""), "success" if code == SUCCESS else "failed")
        text = typed(fields, "text", required=step == "response")
        return self._turn(request, fields, step, text)

    def write(self, reply: Reply, turn: Turn) -> Response:
        """The menu, and whether it is the last."""
        return _json(200, ussdMenu=reply.text, shouldClose=reply.ends and turn.event is not Event.NEW)

    def write_malformed(self, error: Malformed) -> Response:
        """Exit code 400 with the field and the reason."""
        return _json(400, f"Malformed request: {error.field}: {error.reason}")

    def write_event(self, _ended: SessionEnd) -> Response:
        """The end is taken."""
        return _json(200)

    def write_status(self, *, active: bool) -> Response:
        """Whether we know the session."""
        return _json(200, sessionActive=active)

    def _turn(self, request: Request, fields: dict[str, Any], step: str, text: str) -> Turn:
        code = optional(fields, "shortCode", SHORT_CODE) or self._service_code
        event = EVENTS[step]
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=word(request.parts, "session", SESSION_ID),
            msisdn=number(fields, "msisdn", required=event is Event.NEW),
            text=dialled(text, code) if event is Event.NEW else text,
            event=event,
            service_code=f"*{code.strip('*#')}#",
            pointed=True,
        )


def _json(exit_code: int, message: str = "", **fields: str | bool) -> Response:
    content = {**fields, "responseExitCode": exit_code, "responseMessage": message}
    return Response(exit_code, "application/json", msgspec.json.encode(content))
