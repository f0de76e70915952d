"""Signed receipts: an operation with the proof that it lies in the audit chain, checked without any database."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.audit import rows, store
from engine.audit.merkle import leaf_hash, path_of, root_from_path
from engine.audit.rules import Kind, Root, canonical, leaf_id, moment, needle, row_leaf, signature_holds
from engine.books.tables import operation
from engine.payments.tables import receipt
from engine.words import AccountRef, Code, EngineError, NotThere

RECEIPT_FORMAT = "rasid-receipt-1"
#: the chain is made about once a minute; a receipt that is asked for sooner is told to come back then
CHAINED_WITHIN = timedelta(minutes=2)


class NoReceipt(NotThere):
    """Nothing that was done has this reference, or more than one thing has: ``args[0]`` says which."""


class BadReceipt(EngineError, ValueError):
    """Not a receipt of ours, or not as we gave it: ``args[0]`` says what is wrong."""


class NotChained(EngineError):
    """The receipt's operation was not in the chain yet when it was given: ``args[0]`` says from when on it is."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a leaf lies in a signed root (RFC 6962 §2.1.1)."""

    index: int
    #: hexadecimal, from the leaf's sibling upwards
    path: tuple[str, ...]
    #: the root's statement, as it was signed
    root: dict[str, Any]
    #: Ed25519 over the statement's canonical encoding, base64
    signature: str


class SignedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer, a bank or a regulator is handed: JSON that proves itself against our public key."""

    format: str = RECEIPT_FORMAT
    #: what was done, as codes, ids and amounts: reference, code, at, details
    receipt: dict[str, Any]
    #: the operation with its transfers, exactly as it is hashed
    leaf: dict[str, Any]
    #: None while it is not in the chain; ``chained_by`` then says from when on to ask again
    proof: Proof | None = None
    chained_by: str | None = None

    def json(self) -> bytes:
        """As a file."""
        return json.dumps(msgspec.to_builtins(self), indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"


class _Found(NamedTuple):
    """The operation that a receipt is for."""

    account: AccountRef
    key: UUID


class Receipts:
    """Receipts of what was done, by the reference that a person quotes or by the operation's key."""

    def __init__(self, database: AsyncEngine) -> None:
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")

    async def receipt(self, what: str | UUID, account: AccountRef | None = None) -> SignedReceipt:
        """The receipt of one successful operation.

        A payment is found by its reference alone; with the ``account`` anything is, and by its key too. Raises
        ``NoReceipt``.
        """
        async with self._reads.connect() as connection:
            found = await find_operation(connection, what, account)
            contents = await rows.contents(connection, [(found.account.shard, _row(found))])
            if not contents:
                raise NoReceipt("nothing that was done has this reference", "nothing_done")
            said = contents[0].said
            row = _row(found)
            root = await store.root_holding(connection, found.account.shard, needle(row), contents[0].at)
        made = SignedReceipt(receipt=summary(said), leaf=dict(said))
        if root is None:
            return msgspec.structs.replace(made, chained_by=moment(datetime.now(UTC) + CHAINED_WITHIN))
        return msgspec.structs.replace(made, proof=_proof(root, row_leaf(row, said).hash))


def _row(found: _Found) -> Any:
    return leaf_id(Kind.OPERATION, found.account.account_id, found.key)


def _proof(root: Root, leaf: bytes) -> Proof:
    hashes = [one.hash for one in root.leaves]
    try:
        index = hashes.index(leaf)
    except ValueError:
        raise NoReceipt("the operation is not what was sealed: see audit verify", "not_as_sealed") from None
    return Proof(
        index=index,
        path=tuple(node.hex() for node in path_of(hashes, index)),
        root=root.statement(),
        signature=base64.b64encode(root.signature).decode(),
    )


async def find_operation(connection: AsyncConnection, what: str | UUID, account: AccountRef | None) -> _Found:
    """The successful operation of a reference or key. Raises ``NoReceipt``."""
    if account is None:
        column = receipt.c.key if isinstance(what, UUID) else receipt.c.reference
        query = sa.select(receipt.c.shard, receipt.c.account_id, receipt.c.key)
    else:
        column = operation.c.key if isinstance(what, UUID) else operation.c.reference
        query = sa.select(operation.c.shard, operation.c.account_id, operation.c.key).where(
            operation.c.shard == account.shard,
            operation.c.account_id == account.account_id,
            operation.c.code == Code.OK,
        )
    wanted = what if isinstance(what, UUID) else what.strip().upper()
    rows = (await connection.execute(query.where(column == wanted).limit(2))).all()
    if not rows:
        elsewhere = "" if account is not None else " among payments: of anything else name the line too"
        raise NoReceipt(f"nothing that was done has this reference{elsewhere}", "nothing_done")
    if len(rows) > 1:
        raise NoReceipt("more than one has this reference: name the line too", "several_done")
    return _Found(AccountRef(rows[0].shard, rows[0].account_id), rows[0].key)


def summary(said: Mapping[str, Any]) -> dict[str, Any]:
    """What people want to read of an operation; all of it stands in the leaf."""
    answer = said["answer"]
    return {
        "reference": said["reference"],
        "kind": said["kind"],
        "code": said["code"],
        "booked_at": said["booked_at"],
        "details": answer.get("details", {}),
    }


def check(data: bytes, keys: Mapping[int, bytes]) -> SignedReceipt:
    """A receipt that is whole and signed by one of ``keys``. Needs nothing but its arguments.

    Raises ``BadReceipt``, and ``NotChained`` for one that has no proof yet.
    """
    given = _read(data)
    if given.format != RECEIPT_FORMAT:
        raise BadReceipt(f"format: {given.format!r} is not {RECEIPT_FORMAT}")
    try:
        if summary(given.leaf) != given.receipt:
            raise BadReceipt("receipt: it does not say what the sealed operation says")
    except (KeyError, TypeError, AttributeError):
        raise BadReceipt("leaf: this is no operation") from None
    if given.proof is None:
        raise NotChained(given.chained_by or "later")
    proof = given.proof
    if proof.root.get("key_id") not in keys:
        raise BadReceipt(f"key_id: {proof.root.get('key_id')} is not among the keys given")
    if not signature_holds(proof.root, _bytes("signature", proof.signature), keys):
        raise BadReceipt("signature: it is not ours for this root")
    try:
        path = [bytes.fromhex(node) for node in proof.path]
        led = root_from_path(leaf_hash(canonical(given.leaf)), proof.index, int(proof.root["count"]), path)
        lies = led is not None and led.hex() == proof.root["merkle_root"] and given.leaf["shard"] == proof.root["shard"]
    except (ValueError, KeyError, TypeError):
        raise BadReceipt("proof: this is no path to a root") from None
    if not lies:
        raise BadReceipt("leaf: the operation is not what was sealed")
    return given


def _read(data: bytes) -> SignedReceipt:
    try:
        return msgspec.json.decode(data, type=SignedReceipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadReceipt(f"this is no receipt: {error}") from None


def _bytes(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadReceipt(f"{field}: this is not base64") from None
