"""Texts out through Africa's Talking's bulk form, one recipient a call.

Source: docs.africastalking.com/sms/sending; the fields are those of africastalking 2.0.3 (``SMS.py``, which is
synchronous). The status codes are those seen in public code.
"""

from __future__ import annotations

from typing import Any

from channels.sms.africastalking.options import AfricasTalkingOptions
from channels.sms.contract import CarrierError, ErrorKind, Options, Outgoing, Sent, Tools, read_options
from channels.sms.http import Answer, HttpPoster, refusal_of_status

#: Processed, Sent, Queued
TAKEN = frozenset({100, 101, 102})
#: What is not listed concerns our account, our sender or their routes (401 RiskHold, 402 InvalidSenderId,
#: 404 UnsupportedNumberType, 405 InsufficientBalance, 407 CouldNotRoute, 502 RejectedByGateway): another carrier may.
KINDS = {
    403: ErrorKind.PERMANENT,  # InvalidPhoneNumber
    406: ErrorKind.PERMANENT,  # UserInBlacklist: the person opted out
    409: ErrorKind.PERMANENT,  # DoNotDisturbRejection
    500: ErrorKind.RETRY,  # InternalServerError
    501: ErrorKind.RETRY,  # GatewayError
}
#: a sender setting that sends none, as the sandbox of a new account wants it
NO_SENDER = "none"


class Carrier:
    """One account at Africa's Talking."""

    def __init__(self, _name: str, options: Options, _tools: Tools) -> None:
        self._options = read_options(AfricasTalkingOptions, options)
        headers = {"apiKey": self._options.api_key, "Accept": "application/json"}
        self._poster = HttpPoster(timeout_seconds=self._options.timeout_seconds, headers=headers)

    async def start(self) -> None:
        """Nothing to open: connections are made when they are needed."""

    async def close(self) -> None:
        """Let the connections go."""
        await self._poster.close()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand over one text. There is no idempotency key: a call without an answer is ``unknown``."""
        return _sent(await self._poster.post(f"{self._options.url}/version1/messaging", self._fields(outgoing)))

    def _fields(self, outgoing: Outgoing) -> dict[str, str]:
        fields = {
            "username": self._options.username,
            "to": outgoing.to,
            "message": outgoing.text,
            "bulkSMSMode": "1",
        }
        sender = self._options.sender or outgoing.sender
        if sender.lower() != NO_SENDER:
            fields["from"] = sender
        if self._options.enqueue:
            fields["enqueue"] = "1"
        return fields


def _sent(answer: Answer) -> Sent:
    """The message's id, or the refusal: by the recipient's code, else by the word for the whole, else by the status."""
    if not 200 <= answer.status < 300:
        raise refusal_of_status(answer)
    data = answer.content.get("SMSMessageData")
    if not isinstance(data, dict):
        raise refusal_of_status(answer)
    recipients = data.get("Recipients")
    if isinstance(recipients, list) and recipients and isinstance(recipients[0], dict):
        return _recipient(recipients[0], answer)
    word = data.get("Message")
    if recipients == [] and isinstance(word, str) and word.isascii() and word.isalpha():
        # Nothing was tried: "InvalidSenderId", "InsufficientBalance".
        raise CarrierError(word[:40], ErrorKind.REROUTE)
    raise refusal_of_status(answer)


def _recipient(recipient: dict[str, Any], answer: Answer) -> Sent:
    code = recipient.get("statusCode")
    if code in TAKEN:
        carrier_id = recipient.get("messageId")
        # Where they give no id they write the word None.
        return Sent(carrier_id if isinstance(carrier_id, str) and carrier_id not in {"", "None"} else None)
    if not isinstance(code, int):
        raise refusal_of_status(answer)
    raise CarrierError(str(code), KINDS.get(code, ErrorKind.REROUTE))
