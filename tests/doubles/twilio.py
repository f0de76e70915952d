"""Twilio as far as texts go: its REST interface, its error bodies, and its signed calls to us.

Wire formats: twilio.com/docs/messaging/api/message-resource and …/guides/webhook-request. Signatures are computed here
from the words of twilio.com/docs/usage/security, not with the library that the product verifies with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

import aiohttp
from aiohttp import web

from tests.doubles.http_carrier import HttpCarrier, Recorded

ACCOUNT, TOKEN, SHARED_KEY = "AC" + "0a" * 16, "auth-token-1", "shared-key-1"
FORM = "application/x-www-form-urlencoded"


class TwilioDouble(HttpCarrier):
    """Words of the script: ``accept``, an error code as a number, and those of ``HttpCarrier``."""

    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    def __init__(self) -> None:
        super().__init__()
        #: SID → where its status is to be posted
        self.callbacks: dict[str, str] = {}
        self.taken: list[str] = []

    async def answer(self, word: str | int, recorded: Recorded) -> web.Response:
        if isinstance(word, int):
            return self._refuse(word)
        expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if recorded.headers.get("Authorization") != f"Basic {expected}":
            return self._refuse(20003)
        form = recorded.form
        if not form.get("To"):
            return self._refuse(21604)
        sid = "SM" + secrets.token_hex(16)
        self.taken.append(sid)
        if "StatusCallback" in form:
            self.callbacks[sid] = form["StatusCallback"]
        message = {
            "sid": sid,
            "account_sid": ACCOUNT,
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "from": form.get("From"),
            "to": form["To"],
            "body": form["Body"],
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": "1",
            "error_code": None,
            "error_message": None,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
        }
        return web.json_response(message, status=201)

    def _refuse(self, code: int) -> web.Response:
        status = {20429: 429, 20003: 401}.get(code, 400)
        body = {
            "code": code,
            "message": "in words",
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }
        return web.json_response(body, status=status, headers={"Retry-After": "3"} if status == 429 else {})

    async def report(self, http: aiohttp.ClientSession, sid: str, status: str, **more: str) -> int:
        """Post one status callback as Twilio does. Returns the status it was answered with."""
        fields = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "AccountSid": ACCOUNT, **more}
        url = self.callbacks[sid]
        async with http.post(url, data=fields, headers=signed(url, fields)) as response:
            return response.status


def signature(url: str, fields: dict[str, Any], key: str = TOKEN, algorithm: Any = hashlib.sha1) -> str:
    """The URL, then each field's name and value in the order of names; HMAC; base64."""
    text = url
    for name in sorted(fields):
        values = fields[name] if isinstance(fields[name], list) else [fields[name]]
        text += "".join(name + value for value in sorted(set(values)))
    return base64.b64encode(hmac.new(key.encode(), text.encode(), algorithm).digest()).decode()


def signed(url: str, fields: dict[str, Any], key: str = TOKEN) -> dict[str, str]:
    """The headers of the older way to sign."""
    return {"X-Twilio-Signature": signature(url, fields, key)}


def signed_sha256(url: str, fields: dict[str, Any], key: str = SHARED_KEY, name: str = "key-1") -> dict[str, str]:
    """The headers of the newer way."""
    return {
        "X-Twilio-Signature": signature(url, fields, key, hashlib.sha256),
        "X-Twilio-Webhooks-Signature-Settings": f"key={name},algorithm=HMAC_SHA256",
    }


def text(body: str, sender: str, sid: str = "SM" + "11" * 16, **more: str) -> dict[str, str]:
    """The form of one text from a person, with everything that Twilio sends along."""
    return {
        "ToCountry": "KE",
        "ToState": "",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "ToCity": "",
        "FromZip": "",
        "SmsSid": sid,
        "FromState": "",
        "SmsStatus": "received",
        "FromCity": "",
        "Body": body,
        "FromCountry": "KE",
        "To": "+254709000001",
        "ToZip": "",
        "NumSegments": "1",
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": sender,
        "ApiVersion": "2010-04-01",
        **more,
    }
