"""What Africa's Talking posts to us: texts, delivery reports, opt-outs. None is signed: see ``secret_path``, ``allow``.

Source: docs.africastalking.com/sms/notifications. What is not answered with 200 is sent again for about ten minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from channels.forms import matching, required, single
from channels.sms.africastalking.options import AfricasTalkingOptions
from channels.sms.contract import DeliveryState, Incoming, Options, Posted, Report, Response, Speech, read_options
from channels.turn import Malformed

FIELD_LIMIT = 40
#: characters of one text from a person: ten parts
TEXT_LIMIT = 1600
ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
ADDRESS = re.compile(r"\+?[0-9]{1,20}")
OURS = re.compile(r"[^\x00-\x1f\x7f]{0,40}")
REASON = re.compile(r"[A-Za-z0-9_ -]{1,40}")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: by the word in small letters; Sent, Submitted and Buffered are not final
STATES = {
    "sent": DeliveryState.SENT,
    "submitted": DeliveryState.SENT,
    "buffered": DeliveryState.SENT,
    "success": DeliveryState.DELIVERED,
    "delivered": DeliveryState.DELIVERED,
    "absentsubscriber": DeliveryState.UNDELIVERED,
    "expired": DeliveryState.EXPIRED,
    "rejected": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
}


class Webhook:
    """The webhooks of one account at Africa's Talking."""

    replies = False

    def __init__(self, name: str, options: Options, *, channel: Speech = "sms") -> None:  # noqa: ARG002 - texts only
        self._name = name
        read_options(AfricasTalkingOptions, options)

    def verify(self, posted: Posted) -> None:
        """Nothing is signed here."""

    def read_incoming(self, posted: Posted) -> Incoming:
        """A text from a person. Raises ``Malformed``."""
        fields = single(posted.body, FIELD_LIMIT)
        text = fields.get("text", "")
        if len(text) > TEXT_LIMIT:
            raise Malformed("text", f"longer than {TEXT_LIMIT} characters")
        to = fields.get("to", "").strip()
        if not OURS.fullmatch(to):
            raise Malformed("to", "not well-formed")
        return Incoming(
            carrier=self._name,
            carrier_id=matching(fields, "id", ID),
            sender=_number(fields, "from"),
            to=to,
            text=CONTROL.sub(" ", text),
            at=_date(fields.get("date", "")),
        )

    def read_report(self, posted: Posted) -> Report | None:
        """A delivery report; None for a status added since. Raises ``Malformed``."""
        fields = single(posted.body, FIELD_LIMIT)
        carrier_id = matching(fields, "id", ID)
        state = STATES.get(required(fields, "status").lower())
        if state is None:
            return None
        reason = fields.get("failureReason", "").strip()
        return Report(
            carrier=self._name,
            carrier_id=carrier_id,
            state=state,
            error=reason if REASON.fullmatch(reason) else None,
            at=_date(fields.get("date", "")),
        )

    def read_optout(self, posted: Posted) -> str:
        """The number of someone who told them to be left alone. Raises ``Malformed``."""
        return _number(single(posted.body, FIELD_LIMIT), "phoneNumber")

    def reply(self, text: str | None) -> Response:  # noqa: ARG002 - they send no text from an answer
        """200 and nothing to say."""
        return Response(200, "text/plain", b"OK")


def _number(fields: Mapping[str, str], name: str) -> str:
    number = matching(fields, name, ADDRESS)
    # Who forgets to write the plus sign as %2B sends a blank.
    return f"+{number}" if fields[name].startswith(" ") else number


def _date(value: str) -> datetime:
    """``2026-11-21T10:42:11Z`` or ``2026-11-21 10:42:11``, both UTC; now for anything else: no text is lost for it."""
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
