"""What lines hold and use up: balances, charging sessions, usage, vouchers, agreements, bills."""

from __future__ import annotations

from functools import partial

from engine.balances.renewing import Agreements
from engine.balances.service import Balances
from engine.faces.foundation import Foundation
from engine.guard.service import watch_vouchers
from engine.mediation.service import Mediation
from engine.receivables.service import Bills
from engine.recharge.batches import VoucherBatches
from engine.usage.history import Usage
from engine.usage.overview import Overviews
from engine.usage.service import Sessions


class Charging:
    """What the network reports is charged, what has run out is renewed or expires, and people see where it went."""

    def __init__(self, base: Foundation) -> None:
        database, operator, door = base.database, base.operator, base.door
        #: charging sessions: find them, and let go what nobody reports
        self.sessions = Sessions(database, operator, door)
        #: files of usage records: ``import_usage`` them, ``retry`` what was set aside, see ``differences``
        self.mediation = Mediation(database, operator, base.keyring, door)
        #: where a balance went, how long it lasts, and what limits a line has
        self.usage = Usage(database, operator)
        self.explain_usage = self.usage.explain_usage
        self._overviews = Overviews(database, operator)
        #: what a line's home shows beside its balances, in one read
        self.overview = self._overviews.overview

        #: renewals, advances and gifts: what may be asked for, and what is due
        self.agreements = Agreements(database, operator, door)
        #: bills of postpaid accounts
        self.bills = Bills(database, operator, door, base.alarms)
        balances = Balances(database, operator, door)
        self.expire_due = balances.expire_due
        #: record the products now on sale, so that a purchase can be explained after the catalogue has changed
        self.publish_catalogue = balances.publish_catalogue

        #: batches of vouchers and their life
        self.vouchers = VoucherBatches(database, operator, base.keyring)
        self.seal_voucher = self.vouchers.seal
        self.watch_vouchers = partial(watch_vouchers, database, operator, base.alarms)
