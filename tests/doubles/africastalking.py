"""Africa's Talking as far as texts go: the bulk form, its status table, and its calls to us.

Wire formats: docs.africastalking.com/sms.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from tests.doubles.http_carrier import HttpCarrier, Recorded

USERNAME, API_KEY = "rasid", "at-key-1"
WORDS = {
    100: "Processed",
    101: "Success",
    102: "Queued",
    401: "RiskHold",
    402: "InvalidSenderId",
    403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType",
    405: "InsufficientBalance",
    406: "UserInBlacklist",
    407: "CouldNotRoute",
    409: "DoNotDisturbRejection",
    500: "InternalServerError",
    501: "GatewayError",
    502: "RejectedByGateway",
}


class AfricasTalkingDouble(HttpCarrier):
    """Words of the script: ``accept``, a status code of the recipient, ``no_id``, ``nobody``, ``throttle``."""

    path = "/version1/messaging"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    async def answer(self, word: str | int, recorded: Recorded) -> web.Response:
        form = recorded.form
        if recorded.headers.get("apiKey") != API_KEY or form.get("username") != USERNAME:
            return web.Response(status=401, text="The supplied authentication is invalid")
        if word == "throttle":
            return web.Response(status=429, headers={"Retry-After": "2"})
        if word == "nobody":
            return web.json_response({"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}, status=201)
        code = word if isinstance(word, int) else 101
        taken = code in (100, 101, 102)
        message_id = f"ATXid_{secrets.token_hex(16)}" if taken and word != "no_id" else "None"
        if taken:
            self.taken.append(message_id)
        recipient = {
            "statusCode": code,
            "number": form["to"],
            "status": WORDS[code],
            "cost": "KES 0.8000" if taken else "0",
            "messageId": message_id,
        }
        sent = f"Sent to {int(taken)}/1 Total Cost: KES {'0.8000' if taken else '0'}"
        return web.json_response({"SMSMessageData": {"Message": sent, "Recipients": [recipient]}}, status=201)


def text(body: str, sender: str, message_id: str = "6a8f1f7d-01", **more: str) -> dict[str, str]:
    """The form of one text from a person."""
    return {
        "linkId": "28a92cdf-2d63-4ee3-93df-4233d3de0356",
        "text": body,
        "to": "20880",
        "id": message_id,
        "date": "2026-11-21 10:42:11",
        "from": sender,
        "networkCode": "63902",
        **more,
    }


def report(message_id: str, status: str, **more: str) -> dict[str, str]:
    """The form of one delivery report."""
    return {
        "phoneNumber": "+254712345678",
        "retryCount": "0",
        "id": message_id,
        "status": status,
        "networkCode": "63902",
        **more,
    }
