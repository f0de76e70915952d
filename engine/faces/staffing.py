"""The operator's people: who they are, what they look for, what they ask for and a second one approves."""

from __future__ import annotations

from engine.accounts.finding import Finder
from engine.accounts.service import Accounts
from engine.faces.foundation import Foundation
from engine.payments.service import Payments
from engine.recharge.batches import VoucherBatches
from engine.staff.looking import Looking
from engine.staff.requests import Requests
from engine.staff.searching import Searching
from engine.staff.service import Staff


class Staffing:
    """Staff as the console knows them."""

    def __init__(
        self,
        base: Foundation,
        *,
        accounts: Accounts,
        finder: Finder,
        payments: Payments,
        vouchers: VoucherBatches,
        gateways: tuple[str, ...],
    ) -> None:
        """``gateways``: the names of those that payments go through."""
        database, operator = base.database, base.operator
        #: people of the operator
        self.staff = Staff(database, base.keyring, base.trail, operator.name)
        #: a line as staff looks at it, and everything that happened to it
        self.looking = Looking(database, accounts)
        #: by whatever a caller can say: ``find``
        self.search = Searching(database, finder=finder, payments=payments, vouchers=vouchers, gateways=gateways)
        #: what staff asks for, and what a second person has to approve
        self.requests = Requests(
            database, operator, post=base.door.post, accounts=accounts, payments=payments, trail=base.trail
        )
