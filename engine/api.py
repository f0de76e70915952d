"""All that callers may use of the engine: open one, ask it, close it. The words are in ``engine.words``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from redis.asyncio import Redis

from engine.accounts.chats import Chats
from engine.accounts.finding import Finder
from engine.accounts.leaving import Leaving, Member
from engine.accounts.service import Accounts
from engine.accounts.signing_in import SignIn
from engine.audit.actions import Actions
from engine.audit.receipts import NoReceipt, Receipts, SignedReceipt
from engine.audit.rules import Signer
from engine.audit.service import Chain, Trail
from engine.balances.renewing import Agreements
from engine.balances.service import Balances
from engine.books.databases import Books, open_books
from engine.books.history import Done, History
from engine.books.invariants import check_all
from engine.books.recovery import Recovery
from engine.books.reports import Reports
from engine.books.service import Door
from engine.books.waiting import waiting
from engine.dialogs.hops import Hop, Hops, ScreenUse
from engine.dialogs.menus import Menus
from engine.dialogs.places import KeptPlace, Places
from engine.dialogs.tables import PushState
from engine.disputes.service import Disputes
from engine.disputes.tables import Outcome
from engine.events.alarms import Alarms
from engine.events.rules import Retries
from engine.events.service import Delivery, Events
from engine.guard.cards import Cards
from engine.guard.lists import Lists
from engine.guard.payments import PaymentGuard
from engine.guard.review import Reviews
from engine.guard.service import Guard
from engine.mediation.service import Mediation, Opened
from engine.notices.campaigns import Campaigns
from engine.notices.expiring import Expiring
from engine.notices.service import Messages
from engine.notices.told import Told
from engine.notices.wishes import Wishes
from engine.payments.gateways import Gateways, no_gateways
from engine.payments.links import Links
from engine.payments.listing import PaymentListing
from engine.payments.service import Payments
from engine.receivables.ages import Receivables
from engine.receivables.service import Bills
from engine.recharge.batches import VoucherBatches
from engine.recharge.tables import BatchState
from engine.reconciliation.cases import Wanted
from engine.reconciliation.service import Reconciliation
from engine.reconciliation.tables import Resolution
from engine.staff.looking import Looking
from engine.staff.requests import Requests
from engine.staff.searching import Searching
from engine.staff.service import Staff
from engine.usage.history import Usage
from engine.usage.overview import Overviews
from engine.usage.service import Sessions
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, Product, WebhookSettings

__all__ = [
    "BatchState",
    "Delivery",
    "Done",
    "Engine",
    "Hop",
    "Hops",
    "KeptPlace",
    "Member",
    "NoReceipt",
    "Opened",
    "Outcome",
    "PushState",
    "Resolution",
    "Retries",
    "ScreenUse",
    "SignedReceipt",
    "Wanted",
    "open_engine",
]


class Engine:
    """The recharge and balance engine of one operator, put together from its areas.

    ``post`` is the one door for money; everything else reads, or keeps what no money hangs on. Areas are public
    where staff needs more of them: ``accounts`` (lines, PINs, erasure) and ``vouchers`` (batches and their life).
    """

    def __init__(  # noqa: PLR0915 - one name for each thing that callers may use
        self,
        books: Books,
        operator: Operator,
        keyring: Keyring,
        metrics: Metrics,
        lanes: int,
        *,
        webhooks: WebhookSettings | None = None,
        audit_export: Path | None = None,
        gateways: Gateways | None = None,
        redis: Redis | None = None,
    ) -> None:
        """Put the areas together on one installation's books; ``open_engine`` is the usual way to get one."""
        self._books = books
        self._database = database = books.billing
        self.operator = operator
        self._door = Door(books, operator, metrics, lanes)
        self._recovery = Recovery(books, metrics)
        self._balances = Balances(database, operator, self._door)
        history = History(database)
        #: what somebody has to look at now: logged, counted, and told to subscribers
        self.alarms = alarms = Alarms(database, metrics)
        guard = Guard(database, operator, alarms)
        #: charging sessions: find them, and let go what nobody reports
        self.sessions = sessions = Sessions(database, operator, self._door)
        self.accounts = Accounts(database, operator, keyring, sessions.line_changed)
        self.vouchers = VoucherBatches(database, operator, keyring)
        self._finder = finder = Finder(database, operator, keyring)
        #: what staff did: ``record`` it
        self.audit = Trail(database)
        self.actions = Actions(database)
        #: who is told of what happens: ``subscribe``, ``unsubscribe``, ``list``, and the queue of what is on its way
        self.events = Events(database, keyring, self.audit, webhooks or WebhookSettings())
        #: people of the operator
        self.staff = Staff(database, keyring, self.audit, operator.name)
        #: places in the dialogs that a dialled code leads back to
        self.places = Places(database)
        #: messages that went out as menus on the phone's screen
        self.menus = Menus(database)
        #: screens that people were shown: ``keep`` some, see the ``funnel``
        self.hops = Hops(database)
        self.disputes = Disputes(books, self._door.post, self.audit)
        #: files of usage records: ``import_usage`` them, ``retry`` what was set aside, see ``differences``
        self.mediation = Mediation(database, operator, keyring, self._door)
        #: where a balance went, how long it lasts, and what limits a line has
        self.usage = usage = Usage(database, operator)
        self._overviews = Overviews(database, operator)
        #: what a line's home shows beside its balances, in one read
        self.overview = self._overviews.overview
        #: renewals, advances and gifts: what may be asked for, and what is due
        self.agreements = Agreements(database, operator, self._door)
        #: bills of postpaid accounts
        self.bills = Bills(database, operator, self._door, alarms)
        chats = Chats(database, operator, keyring)
        #: codes by which people sign in to the portal
        self.sign_in = SignIn(database, self.accounts, keyring, operator.country)
        #: who belongs to an account, and erasure at a person's own wish
        self.leaving = Leaving(database, self.accounts, keyring)
        wishes = Wishes(database, self.accounts)
        expiring = Expiring(database, operator)
        #: receipts that an answer makes needless, and promises of an outcome
        self.told = Told(database)
        self._messages = messages = Messages(database, operator, self.accounts, chats)
        #: one message to many
        self.campaigns = Campaigns(database, self.accounts, keyring)

        served = gateways or no_gateways(metrics)
        self.cards = cards = Cards(database, keyring)
        #: whom staff blocks or trusts
        self.lists = Lists(database, keyring, self.audit)
        self.payments = payments = Payments(
            database,
            operator,
            keyring,
            accounts=self.accounts,
            door=self._door,
            gateways=served,
            guard=PaymentGuard(operator, keyring, metrics, redis),
            cards=cards,
            alarms=alarms,
        )
        #: payments as staff looks at them
        self.payment_listing = PaymentListing(books)
        #: a line as staff looks at it, and everything that happened to it
        self.looking = Looking(database, self.accounts)
        #: by whatever a caller can say: ``find``
        self.search = Searching(
            database, finder=finder, payments=payments, vouchers=self.vouchers, gateways=tuple(served)
        )
        #: what staff asks for, and what a second person has to approve
        self.requests = Requests(
            database,
            operator,
            post=self._door.post,
            accounts=self.accounts,
            payments=payments,
            trail=self.audit,
        )
        #: payments that the guard holds back
        self.reviews = Reviews(database, keyring, payments.step, self.audit)

        #: what gateways state, against the books
        self.reconciliation = Reconciliation(
            books,
            operator,
            keyring,
            payments=payments,
            gateways=served,
            trail=self.audit,
        )

        #: trial balance, account statements, journal
        self.ledger = Reports(books, operator.currency, operator.timezone)
        #: open bills by age, and what gateways owe
        self.receivables = Receivables(books)

        # The names that callers use, each bound to the area that does the work.
        self.post = self._door.post
        self.subscriber = self.accounts.subscriber
        self.line_of = finder.line_of
        self.subscriber_by_imsi = self.accounts.subscriber_by_imsi
        self.create_line = self.accounts.create_line
        self.set_language = self.accounts.set_language
        self.check_pin = self.accounts.check_pin
        self.set_pin = self.accounts.set_pin
        self.seal_voucher = self.vouchers.seal
        self.done_before = history.done_before
        self.answer_under = history.answer_under
        self.explain = history.explain
        self.operations = history.operations
        self.explain_usage = usage.explain_usage
        self.receipt = Receipts(database).receipt
        self.seal_history = Chain(database, Signer(keyring), audit_export).seal
        self.claim_messages = messages.claim_messages
        self.messages_delivered = messages.messages_delivered
        self.messages_failed = messages.messages_failed
        self.tell = messages.tell
        self.hand_over = messages.hand_over
        self.postpone_messages = messages.postpone
        self.record_attempt = messages.record_attempt
        self.record_report = messages.record_report
        self.parked_messages = messages.parked_messages
        self.resend_message = messages.resend_message
        self.message_history = messages.message_history
        self.preferences = wishes.preferences
        self.set_preferences = wishes.set_preferences
        self.opt_out = wishes.opt_out
        self.first_time = wishes.first_time
        self.tidy = wishes.tidy
        self.tell_expiring = expiring.tell_expiring
        self.link_code = chats.link_code
        self.link_chat = chats.link_chat
        self.linked = chats.linked
        self.unlink = chats.unlink
        self.chats = chats.chats
        self.saved_cards = cards.of_line
        self.save_card = cards.save
        self.forget_card = cards.forget
        self.paid_by = self.reviews.paid_by
        self.pay = payments.pay
        self.asked_before = payments.asked_before
        self.payment = payments.payment
        self.payments_of = payments.payments_of
        self.find_payment = payments.find_payment
        self.payment_link = Links(database).link
        self.payment_methods = payments.methods
        self.checkout = served.checkout
        #: their names in the settings
        self.payment_gateways = tuple(served)
        self.refund_payment = payments.refund
        self.resume_payments = payments.resume_due
        self.expire_due = self._balances.expire_due
        self.watch_vouchers = guard.watch_vouchers
        self.waiting = partial(waiting, database)
        self.broken_rules = partial(check_all, books)

    def products(self) -> tuple[Product, ...]:
        """The catalogue in the operator's order."""
        return self.operator.products

    async def ping(self) -> None:
        """Raise unless Postgres answers."""
        async with self._database.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def recover_batches(self) -> int:
        """Finish what batches over several databases left prepared. Returns how many parts were finished."""
        return await self._recovery.run()

    async def ensure_partitions(self, months_ahead: int = 3) -> int:
        """Make the books' partitions for the coming months. Returns how many were missing."""
        async with self._database.begin() as connection:
            made = await connection.execute(sa.select(sa.func.ensure_partitions(months_ahead)))
            return int(made.scalar_one())

    async def publish_catalogue(self) -> None:
        """Record the products now on sale, so that a purchase can be explained after the catalogue has changed."""
        await self._balances.publish_catalogue()

    async def close(self) -> None:
        """Answer what is waiting, then let the connections go."""
        await self.payments.close()
        await self._door.close()
        await self._messages.close()
        await self._finder.close()
        await self._overviews.close()
        await self.mediation.close()
        await self.accounts.close()
        self.staff.close()
        await self._recovery.close()
        await self._books.dispose()


async def open_engine(
    database_url: str,
    operator: Operator,
    keyring: Keyring,
    *,
    lanes: int = 2,
    metrics: Metrics | None = None,
    books: Mapping[str, str] | None = None,
    webhooks: WebhookSettings | None = None,
    audit_export: Path | None = None,
    gateways: Gateways | None = None,
    redis: Redis | None = None,
) -> Engine:
    """An engine on migrated databases. Raises what the driver raises when one of them cannot be reached.

    ``lanes`` writers group concurrent operations into commits; two keep Postgres busy while Python decides. ``books``
    says book → address of those that do not live in ``database_url``; what a process that died left prepared there is
    finished first. ``webhooks`` says whom events may be sent to, ``audit_export`` where signed roots go; ``gateways``
    are who payments are asked of, ``redis`` is where the guard counts attempts to pay (without it none are: for tools,
    which ask nobody for money). Raises ``SettingsError`` where a database cannot take its book.
    """
    opened = open_books(database_url, books, connections=lanes + 12, writers=lanes)
    engine = Engine(
        opened,
        operator,
        keyring,
        metrics or Metrics(),
        lanes,
        webhooks=webhooks,
        audit_export=audit_export,
        gateways=gateways,
        redis=redis,
    )
    try:
        await engine.ping()
        await opened.check(lanes)
        await engine.recover_batches()
        await engine.publish_catalogue()
    except BaseException:
        await engine.close()
        raise
    return engine
