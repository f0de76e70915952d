"""Texts out through Twilio's REST interface: the same fields as its own library sends, over our event loop.

Source: POST /2010-04-01/Accounts/{AccountSid}/Messages.json, twilio.com/docs/messaging/api/message-resource; compared
with twilio 9.13's own client in the tests. The library itself is synchronous.
"""

from __future__ import annotations

import base64

from channels.sms.contract import CarrierError, Options, Outgoing, Sent, Tools, WrongOptions, read_options
from channels.sms.http import Answer, HttpPoster, refusal_of_status
from channels.sms.twilio.errors import kind_of
from channels.sms.twilio.options import WHATSAPP, TwilioOptions


class Carrier:
    """One account at Twilio, for texts or for WhatsApp."""

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self._options = read_options(TwilioOptions, options)
        self._prefix = WHATSAPP if tools.channel == "whatsapp" else ""
        if self._prefix and not self._options.sender and not self._options.messaging_service_sid:
            raise WrongOptions([("sender", "is not set: WhatsApp is sent from a number, never from a name")])
        self._url = f"{self._options.base_url}/2010-04-01/Accounts/{self._options.account_sid}/Messages.json"
        self._callback = tools.status_url(name)
        credentials = f"{self._options.account_sid}:{self._options.auth_token}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}", "Accept": "application/json"}
        self._poster = HttpPoster(timeout_seconds=self._options.timeout_seconds, headers=headers)

    async def start(self) -> None:
        """Nothing to open: connections are made when they are needed."""

    async def close(self) -> None:
        """Let the connections go."""
        await self._poster.close()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand over one text. Twilio has no idempotency key: a call without an answer is ``unknown``."""
        return _sent(await self._poster.post(self._url, self._fields(outgoing)))

    def _fields(self, outgoing: Outgoing) -> dict[str, str]:
        fields = {"To": self._prefix + outgoing.to, "Body": outgoing.text}
        if self._options.messaging_service_sid:
            fields["MessagingServiceSid"] = self._options.messaging_service_sid
        else:
            fields["From"] = self._prefix + (self._options.sender or outgoing.sender)
        if self._callback:
            fields["StatusCallback"] = self._callback
        return fields


def _sent(answer: Answer) -> Sent:
    """The message's SID, or the refusal. An error's ``code`` says more than its HTTP status."""
    content = answer.content
    if 200 <= answer.status < 300:
        refused = content.get("error_code")
        if isinstance(refused, int) and content.get("status") in {"failed", "undelivered"}:
            raise CarrierError(str(refused), kind_of(refused))
        sid = content.get("sid")
        if isinstance(sid, str) and sid:
            return Sent(sid)
        raise refusal_of_status(answer)
    code = content.get("code")
    if 400 <= answer.status < 500 and isinstance(code, int):
        raise CarrierError(str(code), kind_of(code), answer.retry_after)
    raise refusal_of_status(answer)
