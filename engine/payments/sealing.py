"""What is personal about a payment: who pays, under the account's key; what a provider told of people, under ours."""

from __future__ import annotations

import os
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.accounts.secrets import NONCE_BYTES, DataKey
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
    return DataKey.fresh(account_id).wrap(keyring, keyring.current)


def seal_event(keyring: Keyring, event: Event) -> str:
    """An event as the inbox keeps it: JSON, what is personal sealed (AES-256-GCM, key id and nonce first)."""
    personal = _Personal(event.account_number, event.payer_msisdn)
    body = msgspec.to_builtins(msgspec.structs.replace(event, account_number=None, payer_msisdn=None))
    if personal != _Personal():
        nonce = os.urandom(NONCE_BYTES)
        key = keyring.derive(_PURPOSE, keyring.current)
        sealed = AESGCM(key).encrypt(nonce, msgspec.json.encode(personal), event.event_id.encode())
        body["sealed"] = f"{keyring.current}:{(nonce + sealed).hex()}"
    return msgspec.json.encode(body).decode()


def unseal_event(keyring: Keyring, body: dict[str, object]) -> Event:
    """The event again. What is personal stays away where its key is gone."""
    event = msgspec.convert(body, type=Event, strict=False)
    key_id, _, digits = str(body.get("sealed") or "").partition(":")
    if not digits:
        return event
    raw = bytes.fromhex(digits)
    try:
        key = keyring.derive(_PURPOSE, int(key_id))
        plain = AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], event.event_id.encode())
    except (InvalidTag, KeyError):
        return event
    personal = msgspec.json.decode(plain, type=_Personal)
    return msgspec.structs.replace(event, account_number=personal.account_number, payer_msisdn=personal.payer_msisdn)
