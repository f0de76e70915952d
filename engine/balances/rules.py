"""Which bucket pays, what a product grants, and when value ends: pure decisions over one case."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.balances.repaying import recover
from engine.balances.tables import AIRTIME
from engine.books.case import Case, Verdict
from engine.books.facts import Transfer
from engine.books.tables import Ledger
from engine.usage.meters import over_cap
from engine.words import Adjust, Bucket, Code, Purchase, Refund, Unit
from settings import Product

#: Buckets that no product asked to be used first or last.
ORDINARY = 100

#: What staff credits in units other than money, without an end.
ADJUSTMENT = "adjustment"

#: Money from outside pays back what was advanced; corrections and refunds do not.
FROM_OUTSIDE = frozenset({Ledger.VOUCHERS, Ledger.GATEWAY})

_FOREVER = datetime.max.replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def _midnight_after(day: int, zone: str) -> datetime:
    local = datetime.combine(datetime.fromordinal(day).date() + timedelta(days=1), time(), ZoneInfo(zone))
    return local.astimezone(UTC)


def promised_end(now: datetime, days: int, zone: str) -> datetime:
    """The local midnight that ends the ``days``-th day from now, counted in calendar days of ``zone``.

    Days are a person's days: the one on which the clocks change has 23 or 25 hours and is still one day.
    """
    return _midnight_after(now.astimezone(ZoneInfo(zone)).toordinal() + days, zone)


def spending_order(bucket: Bucket) -> tuple[int, datetime, int]:
    """By priority, then earliest expiry, then oldest (ids of version 7 sort by age)."""
    return (bucket.priority, bucket.expires_at or _FOREVER, bucket.bucket_id.int)


def payable(case: Case, unit: Unit, category: str | None) -> list[Bucket]:
    """The buckets that may pay for ``unit`` of ``category``, in the order in which they do."""
    found = [
        bucket
        for bucket in case.buckets()
        if bucket.unit is unit
        and (not bucket.categories or category in bucket.categories)
        and case.live(bucket)
        and case.free(bucket) > 0
    ]
    if len(found) > 1:
        found.sort(key=spending_order)
    return found


def draw(case: Case, unit: Unit, amount: int, category: str | None, to: Ledger) -> int:
    """Take ``amount`` from the buckets that may pay, in order. Returns what is missing: 0, or nothing was taken."""
    buckets = payable(case, unit, category)
    missing = amount - sum(case.free(bucket) for bucket in buckets)
    if missing > 0:
        return missing
    for bucket in buckets:
        if amount == 0:
            break
        part = min(amount, case.free(bucket))
        case.debit(bucket, part, to)
        amount -= part
    return 0


def main_bucket(case: Case) -> Bucket | None:
    """The money bucket that recharges go to, expired or not."""
    return next((b for b in case.facts.buckets if b.product == AIRTIME and b.unit is Unit.MONEY), None)


def credit_main(case: Case, amount: int, source: Ledger, expires_at: datetime | None) -> None:
    """Put money into the main bucket and let it live at least until ``expires_at``; open it if there is none.

    What an expired main bucket still held is lost first, as promised: a recharge does not bring it back. What was
    advanced is paid back from money that comes from outside.
    """
    bucket = main_bucket(case)
    if bucket is None:
        bucket = case.open(Unit.MONEY, amount, source, product=AIRTIME, expires_at=expires_at, priority=ORDINARY)
    else:
        if not case.live(bucket) and case.free(bucket) > 0:
            case.debit(bucket, case.free(bucket), Ledger.BREAKAGE)
        case.credit(bucket, amount, source)
        case.extend(bucket, expires_at)
    if source in FROM_OUTSIDE:
        recover(case, bucket, amount)


def find_product(case: Case, code: str) -> Product | None:
    """The catalogue entry with this code."""
    return next((product for product in case.operator.products if product.code == code), None)


def purchase(case: Case, operation: Purchase) -> Verdict:
    """Pay a product from money and open a bucket for each of its grants."""
    product = find_product(case, operation.product)
    if product is None:
        return Verdict(Code.PRODUCT_UNKNOWN)
    if product.price != operation.price:
        return Verdict(Code.PRICE_CHANGED, {"price": product.price})
    refused = over_cap(case, Unit.MONEY, product.price)
    if refused is not None:
        return refused
    missing = spend(case, product.price)
    if missing:
        return Verdict(Code.BALANCE_TOO_LOW, {"missing": missing, "balance": case.total(Unit.MONEY)})
    details = {
        "product": product.code,
        "price": product.price,
        "expires_at": grant(case, product).isoformat(),
        "balance": case.total(Unit.MONEY),
    }
    case.messages.append(("purchase.done", details | {"reference": case.reference}))
    return Verdict(Code.OK, details)


def spend(case: Case, price: int) -> int:
    """Pay a price from money. Returns what is missing: 0, or nothing was taken."""
    return draw(case, Unit.MONEY, price, None, Ledger.SALES)


def grant(case: Case, product: Product, since: datetime | None = None) -> datetime:
    """Open a bucket for each grant of a product, and say when they end: its days are counted from ``since``, or now."""
    expires_at = promised_end(case.now if since is None else since, product.days, case.operator.timezone)
    if expires_at <= case.now:
        expires_at = promised_end(case.now, product.days, case.operator.timezone)
    for one in product.grants:
        case.open(
            Unit(one.unit),
            one.amount,
            Ledger.GRANTS,
            product=product.code,
            expires_at=expires_at,
            categories=one.categories,
            priority=product.priority,
        )
    return expires_at


def adjust(case: Case, operation: Adjust) -> Verdict:
    """A correction: credit the main bucket of the unit, or deduct like a charge."""
    if operation.amount == 0:
        return Verdict(Code.AMOUNT_INVALID)
    if operation.amount < 0:
        missing = draw(case, operation.unit, -operation.amount, None, Ledger.ADJUSTMENTS)
        if missing:
            return Verdict(Code.BALANCE_TOO_LOW, {"missing": missing})
    elif operation.unit is Unit.MONEY and operation.expires_at is None:
        end = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
        credit_main(case, operation.amount, Ledger.ADJUSTMENTS, end)
    else:
        _credit_apart(case, operation.unit, operation.amount, operation.expires_at)
    return Verdict(Code.OK, {"amount": operation.amount, "reason": operation.reason})


def _credit_apart(case: Case, unit: Unit, amount: int, expires_at: datetime | None) -> None:
    """Into the bucket of corrections with this end."""
    known = (one for one in case.facts.buckets if one.product == ADJUSTMENT and one.expires_at == expires_at)
    bucket = next((one for one in known if one.unit is unit), None)
    if bucket is None:
        case.open(unit, amount, Ledger.ADJUSTMENTS, product=ADJUSTMENT, expires_at=expires_at, priority=ORDINARY)
    else:
        case.credit(bucket, amount, Ledger.ADJUSTMENTS)


def refund(case: Case, operation: Refund) -> Verdict:
    """Undo a purchase or a charge: what was granted goes back first, then what was paid comes back."""
    original = case.facts.original
    if original is None or original.code != Code.OK or original.kind not in ("purchase", "charge"):
        return Verdict(Code.NOTHING_TO_REFUND)
    paid = [transfer for transfer in original.transfers if transfer.debit is Ledger.BALANCE]
    if not paid:  # use that costs nothing
        return Verdict(Code.NOTHING_TO_REFUND)
    if original.already_reversed:
        return Verdict(Code.ALREADY_REFUNDED)
    by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
    granted = [transfer for transfer in original.transfers if transfer.credit is Ledger.BALANCE]
    if any(case.free(by_id[transfer.bucket_id]) < transfer.amount for transfer in granted):
        return Verdict(Code.GRANT_USED)
    for transfer in granted:
        case.debit(by_id[transfer.bucket_id], transfer.amount, transfer.debit)
    given_back: Counter[Unit] = Counter()
    for transfer in paid:
        _give_back(case, transfer, by_id[transfer.bucket_id])
        given_back[transfer.unit] += transfer.amount
    for unit, amount in given_back.items():
        told = {"unit": unit, "amount": amount, "balance": case.total(unit), "reference": case.reference}
        case.messages.append(("refund.done", told))
    return Verdict(Code.OK, {"given_back": dict(given_back), "reason": operation.reason})


def _give_back(case: Case, transfer: Transfer, bucket: Bucket) -> None:
    # Money never comes back into a bucket that the next expiry run would empty again.
    if transfer.unit is Unit.MONEY and not case.live(bucket):
        end = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
        credit_main(case, transfer.amount, transfer.credit, end)
    else:
        case.credit(bucket, transfer.amount, transfer.credit)
