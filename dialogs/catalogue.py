"""Every dialog there is. A new one is a folder under flows/ and a line here."""

from __future__ import annotations

from collections.abc import Callable

from dialogs.flows.account.flow import account
from dialogs.flows.advance.flow import advance
from dialogs.flows.balance.flow import balance
from dialogs.flows.bundles.flow import bundles
from dialogs.flows.language.flow import language
from dialogs.flows.main_menu.flow import main_menu
from dialogs.flows.notifications.flow import notifications
from dialogs.flows.offers.flow import offers
from dialogs.flows.pay.flow import pay
from dialogs.flows.payments.flow import payments
from dialogs.flows.pin.flow import pin
from dialogs.flows.recharge.flow import recharge
from dialogs.flows.resume.flow import resume
from dialogs.flows.transfer.flow import transfer
from dialogs.flows.usage.flow import usage
from dialogs.machine import Machine
from dialogs.tailoring import edition_of, rules_of, tailored
from dialogs.texts import Texts
from dialogs.words import Dialog
from settings import Operator

FLOWS: tuple[Callable[[Operator], Dialog], ...] = (
    main_menu,
    balance,
    recharge,
    pay,
    payments,
    bundles,
    transfer,
    advance,
    usage,
    account,
    language,
    pin,
    notifications,
    offers,
)


def every(operator: Operator) -> tuple[Dialog, ...]:
    """All dialogs there are, declared for one operator."""
    dialogs = tuple(flow(operator) for flow in FLOWS)
    return (*dialogs, resume(dialogs))


def declared(operator: Operator) -> tuple[Dialog, ...]:
    """The dialogs that one operator offers, in its order."""
    return tailored(every(operator), rules_of(operator))


def machine_of(operator: Operator, texts: Texts | None = None) -> Machine:
    """The machine that walks an operator's dialogs, under the name of their edition."""
    return Machine(declared(operator), texts or Texts.of(operator), edition=edition_of(operator))
