"""Texts typed on the simulator's phone: a form with ``id``, ``from``, ``to`` and ``text``, as carriers post theirs.

Whoever can post here can text as anybody, so the route only exists while the simulator is switched on.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from channels.forms import matching, single
from channels.sms.contract import Incoming, Options, OptionsModel, Posted, Report, Response, Speech, read_options
from channels.turn import Malformed

FIELD_LIMIT = 10
#: characters of one text: ten parts
TEXT_LIMIT = 1600
ID = re.compile(r"[A-Za-z0-9-]{1,64}")
#: a number, a short code or a name: who sends from what, the conversation judges
ADDRESS = re.compile(r"[+A-Za-z0-9 ]{1,20}")


class Webhook:
    """The simulator's phone, calling."""

    replies = False

    def __init__(self, name: str, options: Options, *, channel: Speech = "sms") -> None:  # noqa: ARG002 - texts only
        self._name = name
        read_options(OptionsModel, options)

    def verify(self, posted: Posted) -> None:
        """Nothing is signed here."""

    def read_incoming(self, posted: Posted) -> Incoming:
        """A text from the phone. Raises ``Malformed``."""
        fields = single(posted.body, FIELD_LIMIT)
        if len(fields.get("text", "")) > TEXT_LIMIT:
            raise Malformed("text", f"longer than {TEXT_LIMIT} characters")
        return Incoming(
            carrier=self._name,
            carrier_id=matching(fields, "id", ID),
            sender=matching(fields, "from", ADDRESS),
            to=matching(fields, "to", ADDRESS),
            text=fields.get("text", ""),
            at=datetime.now(UTC),
        )

    def read_report(self, posted: Posted) -> Report | None:  # noqa: ARG002 - the inbox reports nothing
        """What lies in the inbox has arrived: nothing is reported."""
        return None

    def read_optout(self, posted: Posted) -> str:  # noqa: ARG002 - STOP comes as a text
        """The phone has no carrier of its own to tell. Raises ``Malformed``."""
        raise Malformed("body", "the simulator takes no opt-outs")

    def reply(self, text: str | None) -> Response:  # noqa: ARG002 - the answer goes out as a text of its own
        """200 and nothing to say."""
        return Response(200, "text/plain", b"OK")
