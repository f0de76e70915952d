"""What is personal about a payment: who pays, under the account's key; what a provider told of people, under ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag

from engine.accounts.secrets import DataKey
from engine.payments.store import Holder
from engine.recharge.gateways.contract import Event, Payer
from runtime.keyring import Keyring

#: what a sealed payer is bound to, beside its account
_PAYER = "payer"
_PURPOSE = "gateway-event"


class _Personal(msgspec.Struct, omit_defaults=True):
    """Of an event: who paid, and what they typed."""

    account_number: str | None = None
    payer_msisdn: str | None = None
    push_payer: str | None = None


_NOBODY = _Personal()
_UNNAMED = dict.fromkeys(_Personal.__struct_fields__)


def seal_payer(keyring: Keyring, account_id: UUID, holder: Holder, payer: Payer) -> bytes | None:
    """Who pays, as the payment's row keeps it; None where there is nobody, or the account's person was erased."""
    if holder.wrapped_key is None or payer == Payer():
        return None
    key = DataKey.unwrap(keyring, account_id, holder.wrapped_key, holder.key_id)
    return key.seal(_PAYER, msgspec.json.encode(payer).decode())


def unseal_payer(keyring: Keyring, account_id: UUID, holder: Holder, sealed: bytes | None) -> Payer:
    """Who pays; nobody, where that was never known or is forgotten."""
    if sealed is None or holder.wrapped_key is None:
        return Payer()
    key = DataKey.unwrap(keyring, account_id, holder.wrapped_key, holder.key_id)
    return msgspec.json.decode(key.unseal(_PAYER, sealed), type=Payer)


def fresh_key(keyring: Keyring, account_id: UUID) -> bytes:
    """A new wrapped data key for an account of ours."""
    return DataKey.fresh(account_id).wrap(keyring)


def seal_event(keyring: Keyring, event: Event) -> tuple[dict[str, Any], str | None]:
    """An event as the inbox keeps it: what it says, and sealed (AES-256-GCM, key id and nonce first) who it says it of.

    None where nobody is named.
    """
    personal = _Personal(event.account_number, event.payer_msisdn, event.push_payer)
    body: dict[str, Any] = msgspec.to_builtins(event)
    if personal == _NOBODY:
        return body, None
    body |= _UNNAMED
    sealed = keyring.seal(_PURPOSE, msgspec.json.encode(personal), event.event_id.encode())
    return body, f"{keyring.current}:{sealed.hex()}"


def unseal_event(keyring: Keyring, body: dict[str, Any], sealed: str | None) -> Event:
    """The event again. What is personal stays away where its key is gone."""
    event = msgspec.convert(body, type=Event, strict=False)
    key_id, _, digits = (sealed or "").partition(":")
    if not digits:
        return event
    try:
        plain = keyring.unseal(_PURPOSE, bytes.fromhex(digits), event.event_id.encode(), int(key_id))
    except (InvalidTag, KeyError):
        return event
    return msgspec.structs.replace(event, **msgspec.to_builtins(msgspec.json.decode(plain, type=_Personal)))
