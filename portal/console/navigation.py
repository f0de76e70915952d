"""The console's navigation: one entry for each page that is found by it, and every page in another language."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from dialogs.values import Text, text


class Entry(NamedTuple):
    """A page in the navigation. It shows to whom its route lets in."""

    path: str
    name: Text
    #: its drawing in ``templates/icons.html``
    icon: str


#: the navigation: groups of pages that belong together. One line for each page.
NAVIGATION: tuple[tuple[Text, tuple[Entry, ...]], ...] = (
    (
        text("Subscribers"),
        (
            Entry("", text("Find"), "search"),
            Entry("/requests", text("Approvals"), "approve"),
            Entry("/disputes", text("Disputes"), "dispute"),
            Entry("/notifications", text("Messages given up"), "message"),
            Entry("/campaigns", text("Campaigns"), "people"),
        ),
    ),
    (
        text("Money"),
        (
            Entry("/payments", text("Payments"), "payments"),
            Entry("/reviews", text("Held payments"), "review"),
            Entry("/lists", text("Block and allow list"), "list"),
            Entry("/vouchers", text("Voucher batches"), "voucher"),
            Entry("/reconciliation", text("Reconciliation"), "balance"),
            Entry("/ledger", text("Ledger"), "ledger"),
        ),
    ),
    (
        text("Operations"),
        (
            Entry("/dashboard", text("Dashboard"), "chart"),
            Entry("/dialogs", text("Dialogs"), "dialog"),
            Entry("/audit", text("What staff did"), "audit"),
        ),
    ),
    (text("Staff"), (Entry("/staff", text("People"), "people"), Entry("/me", text("My account"), "person"))),
)


def in_language(request: web.Request, back: str) -> Callable[[str], str]:
    """Makes the link to this page in the language of a code, with everything that was chosen on it.

    What a form did has no address to come back to: from there it leads to ``back``.
    """
    if request.method == "GET":
        return lambda code: str(request.rel_url.update_query(lang=code))
    return lambda code: f"{back}?lang={code}"
