"""What the acts of staff are called: the codes of the audit trail in words."""

from __future__ import annotations

from dialogs.values import Text, text
from engine.words import RequestKind
from portal.console.request_names import KINDS

#: behind the code of an act that came to nothing (``engine.audit``)
CAME_TO_NOTHING = ".refused"
#: code of the audit trail → what it is called; every code that is written down has a name here
ACTS: dict[str, Text] = {
    "account.frozen": text("Account frozen"),
    "bill.make": text("Bills made"),
    "dialog.record": text("Sessions of a line recorded"),
    "dispute.open": text("Case opened"),
    "dispute.assign": text("Case given to somebody"),
    "dispute.decide": text("Case decided"),
    "dispute.resolve": text("Case closed"),
    "dispute.refused": text("Decision of a case not taken by the books"),
    "doctor.freeze": text("Accounts with wrong books frozen"),
    "doctor.recover": text("Batches over several databases finished"),
    "events.subscribe": text("Subscription to events begun"),
    "events.unsubscribe": text("Subscription to events ended"),
    "events.resend": text("Events sent again"),
    "guard.block": text("Put on the block list"),
    "guard.allow": text("Put on the allow list"),
    "guard.taken_off": text("Taken off a list"),
    "keys.renew": text("Secrets sealed under the newest key"),
    "line.add": text("Line to be opened"),
    "line.added": text("Line opened"),
    "line.adjust": text("Balance corrected"),
    "line.erase": text("Person erased"),
    "line.limit": text("Credit limit set"),
    "line.pin_reset": text("PIN taken away"),
    "line.sim": text("SIM changed"),
    "line.status": text("Line's status changed"),
    "line.unfreeze": text("Account may spend again"),
    "line.unlock": text("Locks ended"),
    "notify.campaign": text("Campaign begun"),
    "notify.resend": text("Messages sent again"),
    "payment.look_again": text("Payment taken up again"),
    "payment.review.approve": text("Held payment let pass"),
    "payment.review.refuse": text("Held payment refused"),
    "reconciliation.assign": text("Discrepancy given to somebody"),
    "reconciliation.credit": text("Missing credit booked"),
    "reconciliation.resolve": text("Discrepancy resolved"),
    **{f"request.{kind}": text("Asked for: {what}", what=KINDS[kind][0]) for kind in RequestKind},
    "request.approve": text("Request approved"),
    "request.refuse": text("Request refused"),
    "request.done": text("Request done"),
    "request.failed": text("Request could not be done"),
    "request.expired": text("Nobody decided in time"),
    "staff.add": text("Staff account made"),
    "staff.disable": text("Staff account disabled"),
    "staff.password": text("Own password changed"),
    "staff.reset": text("New password and secret"),
    "staff.sign_in": text("Signed in"),
    "voucher.block": text("Vouchers blocked"),
    "voucher.generate": text("Vouchers made"),
    "voucher.move": text("Batch moved on"),
}


def act(code: str) -> tuple[Text, bool]:
    """What an act is called, and whether it came to nothing; a code that is new tells itself."""
    done = code if code in ACTS else code.removesuffix(CAME_TO_NOTHING)
    return ACTS.get(done) or text("{code}", code=done), done != code
