"""What Twilio posts to us: texts, WhatsApp messages and status callbacks, signed; the answer is TwiML.

Sources: twilio.com/docs/messaging/guides/webhook-request (fields), twilio.com/docs/usage/security (signature),
``RequestValidator`` and ``get_signature_algorithm`` of twilio 9.13 (the newer settings header).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from multidict import MultiDict
from twilio.request_validator import (  # type: ignore[import-untyped]
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
)
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]

from channels.forms import matching, pairs, required
from channels.sms.contract import (
    DeliveryState,
    Incoming,
    Options,
    Posted,
    Report,
    Response,
    Speech,
    Unverified,
    read_options,
)
from channels.sms.pieces import pieces
from channels.sms.twilio.options import WHATSAPP, TwilioOptions
from channels.turn import Malformed

#: a message with ten media has some sixty fields, and new ones appear without notice
FIELD_LIMIT = 200
#: characters of one message in TwiML; more is refused whole (error 21617)
MESSAGE_LIMIT = 1600
#: characters of one message from a person: WhatsApp's limit, the longest there is
TEXT_LIMIT = 4096
SID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
ADDRESS = re.compile(r"\+?[0-9]{1,20}")
#: our own side may be a name
OURS = re.compile(r"[^\x00-\x1f\x7f]{0,40}")
ERROR_CODE = re.compile(r"[0-9]{1,10}")
#: what no XML document may hold (XML 1.0, §2.2), and what no one types
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
OPT: dict[str, Literal["stop", "start"] | None] = {"STOP": "stop", "START": "start", "HELP": None}
#: the states of a message, of texts and of WhatsApp; ``receiving`` and ``received`` are of texts that came in
STATES = {
    "accepted": DeliveryState.QUEUED,
    "scheduled": DeliveryState.QUEUED,
    "queued": DeliveryState.QUEUED,
    "sending": DeliveryState.QUEUED,
    "sent": DeliveryState.SENT,
    "partially_delivered": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.UNDELIVERED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}


class Webhook:
    """The webhooks of one account at Twilio."""

    replies = True

    def __init__(self, name: str, options: Options, *, channel: Speech = "sms") -> None:
        self._name = name
        self._whatsapp = channel == "whatsapp"
        self._options = read_options(TwilioOptions, options)

    def verify(self, posted: Posted) -> None:
        """HMAC-SHA1 with the account's token; with the settings header HMAC-SHA256 with the shared key.

        Raises ``Unverified`` with the reason.
        """
        signature = posted.headers.get(SIGNATURE_HEADER, "")
        if not signature:
            raise Unverified("signature_missing")
        algorithm, key = self._key(posted.headers.get(SIGNATURE_SETTINGS_HEADER, ""))
        try:
            fields = _form(posted)
            valid = RequestValidator(key).validate(posted.url, fields, signature, algorithm)
        except Malformed as error:
            raise Unverified("form_unreadable") from error
        except ValueError as error:
            # The caller's Host header made a URL that has no port or no shape.
            raise Unverified("url_unreadable") from error
        if not valid:
            raise Unverified("signature_wrong")

    def _key(self, settings: str) -> tuple[str, str]:
        """Algorithm and key, as ``key=<id>,algorithm=<name>`` asks for; without that header the older ones."""
        if not settings.strip():
            return HMAC_SHA1, self._options.auth_token
        named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        algorithm = named.get("algorithm", "").strip().upper() or HMAC_SHA1
        if algorithm == HMAC_SHA1:
            return HMAC_SHA1, self._options.auth_token
        if algorithm != HMAC_SHA256:
            raise Unverified("algorithm_unknown")
        if not self._options.shared_key:
            raise Unverified("no_shared_key")
        if self._options.shared_key_id and named.get("key", "").strip() != self._options.shared_key_id:
            raise Unverified("key_unknown")
        return HMAC_SHA256, self._options.shared_key

    def read_incoming(self, posted: Posted) -> Incoming:
        """A message from a person; media are left aside. Raises ``Malformed``."""
        fields = _form(posted)
        text = fields.get("Body", "")
        if len(text) > TEXT_LIMIT:
            raise Malformed("Body", f"longer than {TEXT_LIMIT} characters")
        recognised = fields.get("OptOutType", "").upper()
        return Incoming(
            carrier=self._name,
            carrier_id=matching(fields, "MessageSid", SID),
            sender=self._number(required(fields, "From"), "From", ADDRESS),
            to=self._number(fields.get("To", ""), "To", OURS),
            text=CONTROL.sub(" ", text),
            at=datetime.now(UTC),
            opt=OPT.get(recognised),
            # Advanced opt-out answers these words by itself.
            answered=recognised in OPT,
        )

    def _number(self, address: str, field: str, pattern: re.Pattern[str]) -> str:
        """The number without the prefix that says which of Twilio's channels it belongs to."""
        if self._whatsapp:
            channel, prefixed, number = address.rpartition(WHATSAPP)
            if channel or (address and not prefixed):
                raise Malformed(field, "not of WhatsApp")
            address = number
        elif field == "From" and ":" in address:
            raise Malformed(field, "of another channel")
        if not pattern.fullmatch(address):
            raise Malformed(field, "not well-formed")
        return address

    def read_report(self, posted: Posted) -> Report | None:
        """A status callback; None for a status that Twilio has added since. Raises ``Malformed``."""
        fields = _form(posted)
        carrier_id = matching(fields, "MessageSid", SID)
        state = STATES.get(required(fields, "MessageStatus").lower())
        error = fields.get("ErrorCode", "")
        if state is None:
            return None
        return Report(
            carrier=self._name,
            carrier_id=carrier_id,
            state=state,
            error=error if ERROR_CODE.fullmatch(error) and error.strip("0") else None,
            at=datetime.now(UTC),
        )

    def read_optout(self, posted: Posted) -> str:  # noqa: ARG002 - Twilio tells it with the text itself
        """Twilio has no such call: it marks the person's own text. Raises ``Malformed``."""
        raise Malformed("path", "not served here")

    def reply(self, text: str | None) -> Response:
        """TwiML with the text in messages of at most ``MESSAGE_LIMIT`` characters, or with none."""
        twiml = MessagingResponse()
        for piece in pieces(CONTROL.sub(" ", text or ""), MESSAGE_LIMIT):
            twiml.message(piece)
        return Response(200, "text/xml", str(twiml).encode())


def _form(posted: Posted) -> MultiDict[str]:
    return MultiDict(pairs(posted.body, FIELD_LIMIT))
