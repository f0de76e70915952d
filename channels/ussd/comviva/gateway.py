"""Comviva's USSD gateway as Airtel runs it, to the letter.

Hop: GET with ``SessionID MSISDN MSC input`` and, where the operator set them, ``userid password``. ``input`` is the
dialled string on the first hop, without its ``*`` and ``#`` as Airtel sends it, and afterwards what was typed last: it
does not pile up. Nothing says which hop is the first: it is the one whose session is not known. Answer: 200,
``text/plain``, the body is the screen; the header ``Freeflow`` says ``FC`` (flow continues) or ``FB`` (flow breaks),
``charge`` (``Y`` or ``N``) and ``amount`` what the session costs the person.

End of session: GET to the same address with ``clean`` and ``error``, ``SessionID`` and ``msisdn``. Answer: 200, empty.

Hops have no number, so the same input within a moment is a retry. Timers: none is published; 180 s are usual.

Source: Flares 1.5.0, HTTP pull interface 1.2.0, as vumi/transports/airtel speaks it and its tests record it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from pydantic import Field

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import SESSION_ID, dialled, number, query, typed, word
from configuration.options import OptionsModel, read_options

PLAIN: Final = "text/plain"
CONTINUES, BREAKS = "FC", "FB"


class ComvivaOptions(OptionsModel):
    """What can be set for one gateway: ``gateways.<name>.options``."""

    #: what the gateway sends with each request; empty: not looked at
    userid: str = Field(default="", max_length=64)
    password: str = Field(default="", max_length=64, repr=False)
    #: what a session costs the person, in the gateway's own unit; 0: nothing
    amount: int = Field(default=0, ge=0)


class Gateway(Adapter):
    """The adapter of one configured gateway."""

    session_seconds = 180
    outcomes = frozenset({"cleaned", "failed"})
    methods = frozenset({"GET"})

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        self._name = name
        self._service_code = service_code
        self._options = read_options(ComvivaOptions, options)

    def read(self, request: Request) -> Turn | SessionEnd | Response:
        """A hop, or the session's end. Raises ``Malformed``."""
        fields = query(request)
        if not self._knows(fields):
            return Response(403, PLAIN, b"userid or password refused")
        if "clean" in fields:
            failed = fields.get("error", "").strip() not in {"", "0"}
            return SessionEnd(self._turn(fields, "msisdn", "", Event.CLOSE), "failed" if failed else "cleaned")
        said = typed(fields, "input")
        bare, code = said.strip(), self._service_code
        if bare.startswith("*"):
            return self._turn(fields, "MSISDN", dialled(bare, code), Event.NEW)
        # The code may also be what was typed on a screen: an amount, say.
        may_begin = not bare or f"{bare}*".startswith(f"{code}*")
        return self._turn(fields, "MSISDN", said, None, dialled(bare, code) if may_begin else None)

    def write(self, reply: Reply, turn: Turn) -> Response:  # noqa: ARG002 - the same whoever is answered
        """The screen; in the headers whether the session goes on and what it costs."""
        headers = {
            "Freeflow": BREAKS if reply.ends else CONTINUES,
            "charge": "Y" if self._options.amount else "N",
            "amount": str(self._options.amount),
        }
        return Response(200, PLAIN, reply.text.encode(), headers)

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason: the one who sees it is an engineer at the other end, not a person."""
        body = f"Malformed request: {error.field}: {error.reason}"
        return Response(400, PLAIN, body.encode(), {"Freeflow": BREAKS})

    def write_event(self, ended: SessionEnd) -> Response:  # noqa: ARG002 - the same whatever ended
        """200, empty."""
        return Response(200, PLAIN, b"")

    def _knows(self, fields: Mapping[str, str]) -> bool:
        wanted = {"userid": self._options.userid, "password": self._options.password}
        return all(
            hmac.compare_digest(fields.get(name, "").encode(errors="replace"), value.encode())
            for name, value in wanted.items()
            if value
        )

    def _turn(
        self, fields: Mapping[str, str], msisdn: str, text: str, event: Event | None, first: str | None = None
    ) -> Turn:
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=word(fields, "SessionID", SESSION_ID),
            msisdn=number(fields, msisdn),
            text=text,
            event=event,
            dialled=first,
            service_code=f"*{self._service_code}#",
        )
