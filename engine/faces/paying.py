"""Money from outside: payments, cards, what the guard holds back, gateways' statements against the books."""

from __future__ import annotations

from redis.asyncio import Redis

from engine.accounts.service import Accounts
from engine.disputes.service import Disputes
from engine.faces.foundation import Foundation
from engine.favourites.service import Favourites
from engine.guard.cards import Cards
from engine.guard.lists import Lists
from engine.guard.payments import PaymentGuard
from engine.guard.review import Reviews
from engine.payments.gateways import Gateways
from engine.payments.links import Links
from engine.payments.listing import PaymentListing
from engine.payments.service import Payments
from engine.reconciliation.service import Reconciliation


class Paying:
    """Payments as payers ask for them, as gateways tell of them, and as staff looks at them."""

    def __init__(
        self, base: Foundation, accounts: Accounts, disputes: Disputes, gateways: Gateways, redis: Redis | None
    ) -> None:
        """``redis`` is where the guard counts attempts; without it none are."""
        database, operator, keyring = base.database, base.operator, base.keyring
        self.cards = Cards(database, keyring)
        self.saved_cards = self.cards.of_line
        self.forget_card = self.cards.forget
        self.payments = payments = Payments(
            database,
            operator,
            keyring,
            accounts=accounts,
            door=base.door,
            gateways=gateways,
            guard=PaymentGuard(operator, keyring, base.metrics, redis),
            cards=self.cards,
            alarms=base.alarms,
            disputes=disputes,
        )
        self.pay = payments.pay
        self.asked_before = payments.asked_before
        self.payment = payments.payment
        self.payments_of = payments.payments_of
        self.find_payment = payments.find_payment
        self.payment_methods = payments.methods
        self.resume_payments = payments.resume_due
        self.call_off_payment = payments.call_off
        self.takes_new_cards = payments.takes_new_cards
        links = Links(database)
        self.payment_link = links.link
        self.payment_link_shown = links.link_shown
        self.checkout = gateways.checkout
        #: their names in the settings
        self.payment_gateways = tuple(gateways)

        #: what a line did before, to be offered first
        self.favourites = Favourites(database, payments)
        #: payments as staff looks at them
        self.payment_listing = PaymentListing(base.books)
        #: whom staff blocks or trusts
        self.lists = Lists(database, keyring, base.trail)
        #: payments that the guard holds back
        self.reviews = Reviews(database, keyring, payments.step, base.trail)
        self.paid_by = self.reviews.paid_by
        #: what gateways state, against the books
        self.reconciliation = Reconciliation(
            base.books, operator, keyring, payments=payments, gateways=gateways, trail=base.trail
        )
