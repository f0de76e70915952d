"""What all the providers here share: scripts, memory, time, and telling the shop."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import web

from sandbox.payments.ledger import Ledger, Payment
from sandbox.payments.phones import AGREED, ASKED, PROMPT_SECONDS, Phones
from sandbox.payments.plays import Play, Plays, Scripted

#: seconds between tries of a callback that was not answered with 2xx, and how many there are
RETRY_FIRST, RETRY_LONGEST, TRIES = 0.2, 5.0, 12
#: seconds that a callback waits for its answer
CALLBACK_SECONDS = 10.0
#: seconds that an answer waits for the callback that is to come before it
EARLY_SECONDS = 2.0
#: seconds of a payer with a phone
PACE = 0.3


class Accounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may call, and what we sign with."""

    api_key: str = "sandbox-api-key"
    webhook_secret: str = "whsec_sandbox_native"  # noqa: S105 - of a sandbox
    mpesa_consumer_key: str = "sandbox-consumer"
    mpesa_consumer_secret: str = "sandbox-consumer-secret"  # noqa: S105
    mpesa_passkey: str = "sandbox-passkey"
    mpesa_shortcode: str = "600638"
    stripe_secret_key: str = "sk_test_sandbox"  # noqa: S105
    stripe_webhook_secret: str = "whsec_sandbox_stripe"  # noqa: S105
    #: where Stripe's events go; empty: nowhere
    stripe_webhook_url: str = ""
    hubtel_client_id: str = "sandbox-client"
    hubtel_client_secret: str = "sandbox-client-secret"  # noqa: S105
    hubtel_pos: str = "11684"
    #: where Hubtel's fulfilments go; empty: nowhere
    hubtel_fulfilment_url: str = ""


class Posted(NamedTuple):
    """One try of a callback, and what it was answered (0: nothing)."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    status: int


Signer = Callable[[bytes], dict[str, str]]
Teller = Callable[[Payment], Awaitable[None]]


def timestamped(header: str, secret: str) -> Signer:
    """Signs ``<seconds>.<body>`` with HMAC-SHA-256, as ``t=…,v1=…``."""

    def sign(body: bytes) -> dict[str, str]:
        """One header: when, and the digest over that and the body."""
        at = str(int(time.time()))
        digest = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {header: f"t={at},v1={digest}"}

    return sign


class Desk:
    """Made within a running loop."""

    def __init__(self, ledger: Ledger, accounts: Accounts, *, pace: float = PACE) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self.plays = Plays()
        self.phones = Phones()
        self.pace = pace
        self.closing = asyncio.Event()
        #: tries of callbacks, oldest first
        self.posted: deque[Posted] = deque(maxlen=2000)
        #: how each face tells the shop what became of a payment
        self.tellers: dict[str, Teller] = {}
        #: where this server is reached, for links that payers follow
        self.base_url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALLBACK_SECONDS))

    def resume(self) -> None:
        """Take up what was on its way when this server last stopped."""
        for payment in self.ledger.all():
            if payment.due_at is not None:
                self._finish_later(payment)
            for _ in range(payment.untold):
                self.later(self._tell(payment))

    async def close(self) -> None:
        """Let everything go; what is due stays due."""
        self.closing.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        self.ledger.close()

    # --- payments ---

    def play(self, face: str, major: Decimal) -> Scripted:
        """What becomes of the next payment."""
        return self.plays.next(face, major)

    def prepare(self, payment: Payment, scripted: Scripted, seconds: float = 0.0) -> None:
        """Remember a payment that is to become what the script says after ``seconds``, and how it is told."""
        declined = scripted.play is Play.DECLINE
        payment.play = scripted.play
        payment.reason = scripted.reason if declined else None
        payment.then = "declined" if declined else payment.then
        payment.tells = {Play.DUPLICATE: 3, Play.LOST: 0}.get(scripted.play, 1)
        payment.due_at = time.time() + seconds
        self.ledger.save(payment)

    def due(self, payment: Payment, scripted: Scripted, seconds: float) -> None:
        """Let a payment become what the script says after ``seconds``."""
        self.prepare(payment, scripted, seconds)
        self._finish_later(payment)

    def ask(self, payment: Payment, scripted: Scripted) -> None:
        """Ask the payer on a phone that somebody holds; any other says after its pace what the script says."""
        if scripted.play not in ASKED or not self.phones.held(payment.details.get("phone", "")):
            return self.due(payment, scripted, self.pace)
        self.prepare(payment, scripted)
        # Unless an answer comes first, it is the provider's time-out that becomes of it.
        payment.details[AGREED], payment.then, payment.reason = payment.then, "declined", "timeout"
        payment.due_at = time.time() + PROMPT_SECONDS
        self.ledger.save(payment)
        return self._finish_later(payment)

    def settle(self, payment: Payment) -> None:
        """Let a payment become what it is to be now, and tell the shop beside."""
        payment.become(payment.then)
        self.told(payment, payment.tells)

    def told(self, payment: Payment, times: int = 1) -> None:
        """Remember a payment that has changed, and tell the shop beside."""
        payment.untold += times
        self.ledger.save(payment)
        for _ in range(times):
            self.later(self._tell(payment))

    async def tell_first(self, payment: Payment) -> None:
        """Let a payment become what it is to be, and let the shop hear of it before it is answered, if it listens."""
        payment.become(payment.then)
        payment.untold += 1
        self.ledger.save(payment)
        telling = asyncio.create_task(self._tell(payment))
        self._tasks.add(telling)
        telling.add_done_callback(self._tasks.discard)
        await asyncio.wait({telling}, timeout=EARLY_SECONDS)

    async def _tell(self, payment: Payment) -> None:
        await self.tellers[payment.face](payment)
        payment.untold -= 1
        self.ledger.save(payment)

    async def wait_for(self, seconds: float) -> None:
        """Take ``seconds``, unless this server ends before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closing.wait()

    def _finish_later(self, payment: Payment) -> None:
        async def wait() -> None:
            """Until the payer would have decided."""
            await asyncio.sleep(max((payment.due_at or 0.0) - time.time(), 0.0))
            self.finish(payment)

        self.later(wait())

    def finish(self, payment: Payment) -> None:
        """Let a payment become what it is to be, and tell the shop."""
        if payment.due_at is None:
            return
        self.settle(payment)

    async def never(self) -> web.Response:
        """The answer that does not come while this server lives."""
        await self.closing.wait()
        return web.Response(status=503)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- telling ---

    async def tell(self, url: str, content: Any, sign: Signer | None = None) -> int:
        """Post a callback until it is answered with 2xx; the last status, 0 for none."""
        body, wait, status = msgspec.json.encode(content), RETRY_FIRST, 0
        for _ in range(TRIES if url else 0):
            headers = {"Content-Type": "application/json", **(sign(body) if sign else {})}
            status, _ = await self.post(url, body, headers)
            if 200 <= status < 300:
                break
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY_LONGEST)
        return status

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One try."""
        status, said = 0, b""
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.post(url, data=body, headers=headers) as response:
                status, said = response.status, await response.read()
        self.posted.append(Posted(url, body, headers, status))
        return status, said


def cut(request: web.Request) -> web.Response:
    """Break the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def json_of(request: web.Request) -> dict[str, Any]:
    """The body as an object; anything else is answered with 400."""
    try:
        content = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text='{"error": "not_json"}', content_type="application/json")
    return content
