"""Operations of the engine as TMF654's balance actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from engine.words import Answer, LineRef, Unit, granted
from network.tmf import wire
from network.tmf.amounts import USAGE_TYPES, money, quantity
from network.tmf.lines import ROOT, Lines, Owner, account_ref, resource_refs

#: kind of operation → the resource that it is in the history, where TM Forum has one
_TYPES = {
    "recharge": "TopupBalance",
    "settle": "TopupBalance",
    "adjust": "AdjustBalance",
    "transfer": "TransferBalance",
    "received": "TransferBalance",
    "undo": "TransferBalance",
    "taken_back": "TransferBalance",
}


class Rendering:
    """Writes actions of one operator."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def action(
        self,
        path: str,
        owner: Owner,
        answer: Answer,
        *,
        status: str | None = None,
        asked: wire.ActionCreate | None = None,
    ) -> wire.BalanceAction:
        """An operation of a line as the resource at ``path``; ``status`` where more became of it than it says.

        What was ``asked`` for says what is not kept: it stands in the answer to the request that made the resource.
        """
        line, currency = owner.line, self._lines.currency
        name = self._lines.id_of(line, answer.key, path)
        amount, unit = _moved(answer)
        effects = answer.effects
        return wire.BalanceAction(
            id=name,
            href=f"{ROOT}/{path}/{name}",
            status=status or ("completed" if answer.ok else "failed"),
            usage_type=None if unit is None else USAGE_TYPES[unit],
            amount=None if amount is None or unit is None else quantity(amount, unit, currency),
            bucket=self._lines.bucket_ref(line, effects[0].bucket_id) if effects else None,
            logical_resource=resource_refs(owner),
            party_account=account_ref(line),
            requested_date=answer.booked_at,
            confirmation_date=answer.booked_at,
            valid_for=_validity(answer),
            reason=_reason(answer) or (None if asked is None else asked.reason),
            description=None if asked is None else asked.description,
            channel=None if asked is None else asked.channel,
            product=_products(answer),
            receiver_logical_resource=_receiver(answer),
            transfer_cost=money(answer.details["fee"], currency) if answer.details.get("fee") else None,
            impacted_bucket=tuple(
                wire.ImpactedBucket(
                    bucket=self._lines.bucket_ref(line, one.bucket_id),
                    before=quantity(one.before, one.unit, currency),
                    after=quantity(one.after, one.unit, currency),
                )
                for one in effects
            ),
            type=type_of(path, answer),
        )


def type_of(path: str, answer: Answer) -> str:
    """The resource's type: the path's, or in the history that of what was done."""
    if path != "balanceActionHistory":
        return path[0].upper() + path[1:]
    return _TYPES.get(answer.kind, "".join(word.capitalize() for word in answer.kind.split("_")))


def reserved(answer: Answer) -> tuple[int, Unit]:
    """What a reservation holds."""
    (group,) = granted(answer)
    return group.granted or 0, group.unit


def _moved(answer: Answer) -> tuple[int | None, Unit | None]:
    """How much it was about: what the operation says, else what it changed of its first unit."""
    if answer.kind == "session":
        groups = granted(answer)
        if len(groups) == 1 and groups[0].granted is not None:
            return groups[0].granted, groups[0].unit
    unit = answer.effects[0].unit if answer.effects else None
    if "unit" in answer.details:
        unit = Unit(answer.details["unit"])
    said: Any = answer.details.get("amount")
    if isinstance(said, int):
        return said, unit or Unit.MONEY
    if unit is None:
        return None, None
    return sum(one.after - one.before for one in answer.effects if one.unit is unit), unit


def _validity(answer: Answer) -> wire.TimePeriod | None:
    seconds = [group.validity_seconds for group in granted(answer)] if answer.kind == "session" else []
    if not seconds or seconds[0] is None:
        return None
    return wire.TimePeriod(
        start_date_time=answer.booked_at, end_date_time=answer.booked_at + timedelta(seconds=seconds[0])
    )


def _reason(answer: Answer) -> str | None:
    reason = answer.details.get("reason")
    return answer.code if not answer.ok else None if reason is None else str(reason)


def _products(answer: Answer) -> tuple[wire.Ref, ...]:
    product = answer.details.get("product")
    return () if product is None else (wire.Ref(id=str(product)),)


def _receiver(answer: Answer) -> wire.Ref | None:
    """As it was shown to the sender: masked."""
    shown = answer.details.get("receiver")
    return None if shown is None else wire.Ref(id=str(shown))


def receiver_of(answer: Answer) -> LineRef:
    """To whom a transfer went."""
    said = answer.details
    return LineRef(said["receiver_shard"], UUID(said["receiver_account"]), UUID(said["receiver_line"]))
