"""Stripe in its own words: the calls and their forms (docs.stripe.com/api). Synchronous SDKs would block the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from engine.recharge.gateways.http import Caller, Reply
from engine.recharge.gateways.stripe.options import API_URL, StripeOptions

INTENTS, REFUNDS, REPORT_RUNS = "/v1/payment_intents", "/v1/refunds", "/v1/reporting/report_runs"
SESSIONS, DISPUTES = "/v1/checkout/sessions", "/v1/disputes"
#: where the files lie of whoever lives at ``API_URL``
FILES_URL = "https://files.stripe.com"


class Stripe:
    """One account. Every call raises ``NotSent`` and ``NoAnswer``; any status is a reply.

    ``key``: the idempotency key. Under one key Stripe answers what it answered first, errors of its own among them.
    """

    def __init__(self, options: StripeOptions, *, timeout_seconds: float) -> None:
        headers = {"Authorization": f"Bearer {options.secret_key}", "Stripe-Version": options.api_version}
        self._caller = Caller(options.base_url, timeout_seconds=timeout_seconds, headers=headers)
        # Files have a host of their own. Our key goes to hosts of the settings, never to where an answer points.
        files = FILES_URL if options.base_url == API_URL else options.base_url
        self._files = Caller(files, timeout_seconds=timeout_seconds, headers=headers)

    async def close(self) -> None:
        """Let the connections go."""
        await self._caller.close()
        await self._files.close()

    async def create_intent(self, form: Mapping[str, str], key: str) -> Reply:
        """Make a PaymentIntent, confirmed at once where the form says so."""
        return await self._post(INTENTS, form, key)

    async def confirm_intent(self, intent: str, form: Mapping[str, str], key: str) -> Reply:
        """Try once more, with the payer there."""
        return await self._post(f"{INTENTS}/{intent}/confirm", form, key)

    async def capture_intent(self, intent: str, key: str) -> Reply:
        """Take what was reserved."""
        return await self._post(f"{INTENTS}/{intent}/capture", {}, key)

    async def cancel_intent(self, intent: str, key: str) -> Reply:
        """Let go what was reserved, or end what waits for the payer."""
        return await self._post(f"{INTENTS}/{intent}/cancel", {}, key)

    async def intent(self, intent: str) -> Reply:
        """One PaymentIntent, with its latest charge."""
        return await self._caller.get(f"{INTENTS}/{intent}", params={"expand[]": "latest_charge"})

    async def search_intents(self, payment_id: str) -> Reply:
        """PaymentIntents by our id in their metadata. Usually known after a minute, later in an outage of theirs."""
        query = f"metadata['payment_id']:'{payment_id}'"
        return await self._caller.get(f"{INTENTS}/search", params={"query": query, "expand[]": "data.latest_charge"})

    async def disputes(self, intent: str) -> Reply:
        """What banks have asked back of what a PaymentIntent took."""
        return await self._caller.get(DISPUTES, params={"payment_intent": intent})

    async def create_session(self, form: Mapping[str, str], key: str) -> Reply:
        """Make a page of theirs on which a payer enters a card."""
        return await self._post(SESSIONS, form, key)

    async def session(self, session: str) -> Reply:
        """One page, with its PaymentIntent and that one's latest charge."""
        return await self._caller.get(f"{SESSIONS}/{session}", params={"expand[]": "payment_intent.latest_charge"})

    async def expire_session(self, session: str, key: str) -> Reply:
        """Close a page that nobody has paid on."""
        return await self._post(f"{SESSIONS}/{session}/expire", {}, key)

    async def refund(self, form: Mapping[str, str], key: str) -> Reply:
        """Give money back."""
        return await self._post(REFUNDS, form, key)

    async def create_report_run(self, form: Mapping[str, str], key: str) -> Reply:
        """Have a report made."""
        return await self._post(REPORT_RUNS, form, key)

    async def report_run(self, run: str) -> Reply:
        """How far a report is."""
        return await self._caller.get(f"{REPORT_RUNS}/{run}")

    async def file(self, file: str) -> IO[str] | None:
        """What a file holds."""
        return await self._files.download(f"/v1/files/{file}/contents", params={})

    async def _post(self, path: str, form: Mapping[str, str], key: str) -> Reply:
        return await self._caller.post(path, form=form, headers={"Idempotency-Key": key})
