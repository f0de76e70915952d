"""Daraja in its own words: the calls, their fields and the token they need.

Source: developer.safaricom.co.ke/APIs: Authorization, M-Pesa Express, M-Pesa Express Query, Reversals, Transaction
Status, Customer To Business.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from engine.recharge.gateways.http import Caller, NoAnswer, NotSent, Reply
from engine.recharge.gateways.mpesa.options import MpesaOptions

NAIROBI = ZoneInfo("Africa/Nairobi")
#: seconds before its end that a token is no longer used
TOKEN_MARGIN = 60.0
#: "Invalid Access Token": nothing was read, so the call may be made again with a fresh one
BAD_TOKEN = "404.001.03"  # noqa: S105 - their code for one
#: identifiers of the receiving party: a shortcode, an organisation's reversal
SHORTCODE, ORGANISATION = "4", "11"


def timestamp(now: datetime) -> str:
    """``yyyymmddhhmmss`` in Nairobi, as the password and the push want it."""
    return now.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")


def password(options: MpesaOptions, at: str) -> str:
    """The push's password: shortcode, passkey and timestamp, in base 64."""
    return base64.b64encode(f"{options.shortcode}{options.passkey}{at}".encode()).decode()


class Daraja:
    """One application at Daraja. Every call raises ``NotSent`` and ``NoAnswer``; any status is a reply."""

    def __init__(
        self,
        options: MpesaOptions,
        *,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._caller = Caller(options.base_url, timeout_seconds=timeout_seconds)
        self._clock = clock
        self._token = ""
        self._token_until = 0.0
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        """Let the connections go."""
        await self._caller.close()

    async def push(self, *, shillings: int, phone: str, account: str, text: str, callback_url: str) -> Reply:
        """M-Pesa Express: the phone asks for the PIN. ``phone``: ``2547…``, ``account``: up to 12 characters."""
        options = self._options
        at = timestamp(datetime.now(UTC))
        return await self._post(
            "/mpesa/stkpush/v1/processrequest",
            {
                "BusinessShortCode": options.shortcode,
                "Password": password(options, at),
                "Timestamp": at,
                "TransactionType": "CustomerBuyGoodsOnline" if options.till else "CustomerPayBillOnline",
                "Amount": shillings,
                "PartyA": phone,
                "PartyB": options.till or options.shortcode,
                "PhoneNumber": phone,
                "CallBackURL": callback_url,
                "AccountReference": account,
                "TransactionDesc": text,
            },
        )

    async def query(self, checkout_request_id: str) -> Reply:
        """What became of a push."""
        at = timestamp(datetime.now(UTC))
        return await self._post(
            "/mpesa/stkpushquery/v1/query",
            {
                "BusinessShortCode": self._options.shortcode,
                "Password": password(self._options, at),
                "Timestamp": at,
                "CheckoutRequestID": checkout_request_id,
            },
        )

    async def reverse(self, *, receipt: str, shillings: int, remarks: str, result_url: str) -> Reply:
        """Give a payment back; the result is posted to ``result_url``."""
        return await self._post(
            "/mpesa/reversal/v1/request",
            {
                "Initiator": self._options.initiator,
                "SecurityCredential": self._options.security_credential,
                "CommandID": "TransactionReversal",
                "TransactionID": receipt,
                "Amount": shillings,
                "ReceiverParty": self._options.shortcode,
                # Their spelling.
                "RecieverIdentifierType": ORGANISATION,
                "ResultURL": result_url,
                "QueueTimeOutURL": result_url,
                "Remarks": remarks,
                "Occasion": "",
            },
        )

    async def transaction_status(self, *, receipt: str, result_url: str) -> Reply:
        """What became of a receipt; the result is posted to ``result_url``."""
        return await self._post(
            "/mpesa/transactionstatus/v1/query",
            {
                "Initiator": self._options.initiator,
                "SecurityCredential": self._options.security_credential,
                "CommandID": "TransactionStatusQuery",
                "TransactionID": receipt,
                "PartyA": self._options.shortcode,
                "IdentifierType": SHORTCODE,
                "ResultURL": result_url,
                "QueueTimeOutURL": result_url,
                "Remarks": "status",
                "Occasion": "",
            },
        )

    async def register_c2b(self, *, validation_url: str, confirmation_url: str) -> Reply:
        """Where payments that payers begin themselves are told. Those that nobody validates in time are completed."""
        return await self._post(
            "/mpesa/c2b/v1/registerurl",
            {
                "ShortCode": self._options.shortcode,
                "ResponseType": "Completed",
                "ConfirmationURL": confirmation_url,
                "ValidationURL": validation_url,
            },
        )

    async def _post(self, path: str, fields: dict[str, str | int]) -> Reply:
        token = await self._access_token()
        reply = await self._caller.post(path, json=fields, headers={"Authorization": f"Bearer {token}"})
        if reply.word("errorCode") != BAD_TOKEN and reply.status != 401:
            return reply
        if self._token == token:
            self._token_until = 0.0
        token = await self._access_token()
        return await self._caller.post(path, json=fields, headers={"Authorization": f"Bearer {token}"})

    async def _access_token(self) -> str:
        """The token in force. Raises ``NotSent``: without one no call has left us."""
        async with self._fetching:
            if self._clock() < self._token_until:
                return self._token
            pair = f"{self._options.consumer_key}:{self._options.consumer_secret}"
            basic = base64.b64encode(pair.encode()).decode()
            try:
                reply = await self._caller.get(
                    "/oauth/v1/generate",
                    params={"grant_type": "client_credentials"},
                    headers={"Authorization": f"Basic {basic}"},
                )
            except NoAnswer as error:
                raise NotSent("token") from error
            token, seconds = reply.word("access_token"), reply.word("expires_in")
            if reply.status != 200 or not token or not (seconds.isascii() and seconds.isdecimal()):
                raise NotSent(f"token_http_{reply.status}")
            self._token = token
            self._token_until = self._clock() + max(float(seconds) - TOKEN_MARGIN, 1.0)
            return token
