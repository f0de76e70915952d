"""Africa's Talking USSD, to the letter.

Hop: POST of a form ``sessionId phoneNumber networkCode serviceCode text``; ``text`` is empty on the first hop and
afterwards all inputs so far joined by ``*``. Answer: 200, ``text/plain``, the body starts with ``CON `` while the
session goes on and ``END `` when it is over; any other start, and any 4xx, ends it. The answer's header
``at-ussd-hop-metadata`` carries a label that comes back in the end event's ``hopsMetadata``.

End of session: POST of a form ``date sessionId serviceCode networkCode phoneNumber status cost durationInMillis
hopsCount hopsMetadata input lastAppResponse errorMessage``. ``input`` and ``lastAppResponse`` may hold secrets.

Timers (help.africastalking.com, article 1284071): a session lasts 180 s, the application has 15 s to answer. Nothing
is signed: the caller is known by address and by a secret path segment, which the routes check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Response, SessionEnd, form

#: AT's ids look like ``ATUid_3a17…``; anything that is harmless in a Redis key and a log line is let in
SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
#: what may be a number at all; whether it is one of ours the engine says
PHONE_NUMBER = re.compile(r"\+?[0-9]{1,20}")
SERVICE_CODE = re.compile(r"\*[0-9*]{1,80}#?")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
OUTCOMES = frozenset({"success", "incomplete", "failed", "other"})
PLAIN = "text/plain"


class Gateway:
    """The adapter of one configured Africa's Talking account."""

    session_seconds = 180
    outcomes = OUTCOMES

    def __init__(self, name: str, service_code: str) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        self._name = name
        self._service_code = f"*{service_code}"

    def read(self, body: bytes) -> Turn:
        """A hop. Raises ``Malformed``."""
        fields = form(body)
        text = fields.get("text")
        if text is None:
            raise Malformed("text", "missing")
        if CONTROL.search(text):
            raise Malformed("text", "control characters")
        return self._turn(fields, text, Event.RESUME if text else Event.NEW)

    def write(self, reply: Reply) -> Response:
        """``CON`` or ``END`` with the screen; the state's name as hop metadata."""
        start = "END " if reply.ends else "CON "
        headers = {"at-ussd-hop-metadata": reply.label} if reply.label else {}
        return Response(200, PLAIN, (start + reply.text).encode(), headers)

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason: the one who sees it is an engineer at the other end, not a person."""
        return Response(400, PLAIN, f"END Malformed request: {error.field}: {error.reason}".encode())

    def read_event(self, body: bytes) -> SessionEnd:
        """An end-of-session event; what people typed and read is dropped here. Raises ``Malformed``."""
        fields = form(body)
        status = fields.get("status", "").lower()
        if not status:
            raise Malformed("status", "missing")
        return SessionEnd(
            turn=self._turn(fields, "", Event.CLOSE),
            outcome=status if status in OUTCOMES else "other",
            hops=_count(fields.get("hopsCount", "")),
            milliseconds=_count(fields.get("durationInMillis", "")),
        )

    def write_event(self) -> Response:
        """200: anything else is sent again."""
        return Response(200, PLAIN, b"OK")

    def _turn(self, fields: Mapping[str, str], text: str, event: Event) -> Turn:
        session_id = _matching(fields, "sessionId", SESSION_ID)
        msisdn = _matching(fields, "phoneNumber", PHONE_NUMBER)
        if fields["phoneNumber"].startswith(" "):
            # A caller that forgot to write the plus sign as %2B: a form reads it as a blank.
            msisdn = f"+{msisdn}"
        service_code = fields.get("serviceCode", "")
        if service_code:
            self._check_service_code(service_code)
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=session_id,
            msisdn=msisdn,
            text=text,
            event=event,
            cumulative=True,
            service_code=service_code,
        )

    def _check_service_code(self, code: str) -> None:
        """The dialled code must be ours, or ours with a sub-code: ``*123#``, ``*123*7#``; the ``#`` may be missing."""
        if not SERVICE_CODE.fullmatch(code):
            raise Malformed("serviceCode", "not a service code")
        ours = self._service_code
        if code.startswith(ours) and code[len(ours) : len(ours) + 1] in ("", "#", "*"):
            return
        raise Malformed("serviceCode", "not served here")


def _matching(fields: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    """A required field that has the shape of ``pattern``. The reason never repeats what was sent."""
    value = fields.get(name, "").strip()
    if not value:
        raise Malformed(name, "missing")
    if not pattern.fullmatch(value):
        raise Malformed(name, "not well-formed")
    return value


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else 0
