"""How history is written down to be hashed, chained and signed: pure functions, no I/O.

The canonical encoding of a row or a root is one JSON object in UTF-8: keys sorted, no white space, integers in full,
times as ``2026-11-22T10:42:00.000001Z``, bytes in lower-case hexadecimal. That is RFC 8785 for what stands in them, but
for integers beyond 2^53, which it would round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.audit.merkle import leaf_hash, root_of
from runtime.keyring import Keyring

ROOT_FORMAT = "rasid-audit-root-1"
#: what a shard's first root names as the one before it
GENESIS = bytes(32)

#: How far the clock of a process may be off, and how long a booking may wait for its commit, and still be found by
#: every run. What is later than that is found by the wide run, up to ``LATEST``.
LATE = timedelta(minutes=5)
LATEST = timedelta(days=1)

#: one leaf as it is stored: kind, owner, id, hash
_LEAF_BYTES = 1 + 16 + 16 + 32
_NOBODY = UUID(int=0)


class Kind(StrEnum):
    """What a leaf stands for."""

    #: an operation with all its transfers; the id is its key
    OPERATION = "operation"
    #: one step of a payment; the id is the event's
    PAYMENT_EVENT = "payment_event"
    #: something that staff did; the id is the action's
    STAFF_ACTION = "staff_action"


_CODES = {Kind.OPERATION: b"o", Kind.PAYMENT_EVENT: b"p", Kind.STAFF_ACTION: b"s"}
_KINDS = {code: kind for kind, code in _CODES.items()}


class LeafId(NamedTuple):
    """Which row a leaf stands for. ``account_id`` is all zeros where no account is concerned."""

    kind: Kind
    account_id: UUID
    row_id: UUID


class Leaf(NamedTuple):
    """A row's place in a root: which one, and the hash of what it said."""

    row: LeafId
    hash: bytes


class Root(NamedTuple):
    """One link of a shard's chain: the rows that were sealed together."""

    shard: int
    #: from 1, without gaps
    seq: int
    leaves: tuple[Leaf, ...]
    #: when the earliest and the latest of its rows were booked
    first: datetime
    last: datetime
    merkle_root: bytes
    #: SHA-256 of the canonical statement of the root before it
    prev_hash: bytes
    sealed_at: datetime
    key_id: int
    signature: bytes = b""

    def statement(self) -> dict[str, Any]:
        """What is signed, as JSON."""
        return {
            "format": ROOT_FORMAT,
            "shard": self.shard,
            "seq": self.seq,
            "count": len(self.leaves),
            "first": moment(self.first),
            "last": moment(self.last),
            "merkle_root": self.merkle_root.hex(),
            "prev_hash": self.prev_hash.hex(),
            "sealed_at": moment(self.sealed_at),
            "key_id": self.key_id,
        }

    def hash(self) -> bytes:
        """What the next root names as the one before it."""
        return hashlib.sha256(canonical(self.statement())).digest()


def moment(at: datetime) -> str:
    """A time as it stands in canonical encodings: UTC, microseconds, ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def plain(value: Any) -> Any:
    """A column's value as JSON can hold it."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def canonical(row: Mapping[str, Any]) -> bytes:
    """The one encoding of a row or statement that hashes and signatures are made of."""
    return msgspec.json.encode(row, order="sorted")


def row_leaf(row: LeafId, content: Mapping[str, Any]) -> Leaf:
    """The leaf of one row."""
    return Leaf(row, leaf_hash(canonical(content)))


def leaf_id(kind: Kind, account_id: UUID | None, row_id: UUID) -> LeafId:
    """Which row a leaf stands for."""
    return LeafId(kind, account_id or _NOBODY, row_id)


def pack(leaves: Iterable[Leaf]) -> bytes:
    """Leaves as they are stored beside their root and exported with it."""
    return b"".join(
        _CODES[leaf.row.kind] + leaf.row.account_id.bytes + leaf.row.row_id.bytes + leaf.hash for leaf in leaves
    )


def unpack(packed: bytes) -> tuple[Leaf, ...]:
    """Leaves out of what ``pack`` made. Raises ``ValueError`` if it cannot have."""
    if len(packed) % _LEAF_BYTES:
        raise ValueError(f"{len(packed)} bytes are no leaves")
    return tuple(_unpacked(packed[place : place + _LEAF_BYTES]) for place in range(0, len(packed), _LEAF_BYTES))


def _unpacked(one: bytes) -> Leaf:
    if one[:1] not in _KINDS:
        raise ValueError("a leaf of unknown kind")
    row = LeafId(_KINDS[one[:1]], UUID(bytes=one[1:17]), UUID(bytes=one[17:33]))
    return Leaf(row, one[33:])


def needle(row: LeafId) -> bytes:
    """What a packed leaf of this row begins with."""
    return _CODES[row.kind] + row.account_id.bytes + row.row_id.bytes


class Signer:
    """The keys that roots are signed with: Ed25519 (RFC 8032), one derived from each master key."""

    def __init__(self, keyring: Keyring) -> None:
        self.key_id = keyring.current
        self._keys = {
            key_id: Ed25519PrivateKey.from_private_bytes(keyring.derive("audit-root", key_id)) for key_id in keyring.ids
        }

    def sign(self, root: Root) -> Root:
        """The root with its signature, by the key that it names."""
        return root._replace(signature=self._keys[root.key_id].sign(canonical(root.statement())))

    def public_keys(self) -> dict[int, bytes]:
        """What anybody needs to check signatures: 32 bytes for each key id."""
        return {key_id: key.public_key().public_bytes_raw() for key_id, key in self._keys.items()}


def seal(
    before: Root | None,
    shard: int,
    leaves: Sequence[Leaf],
    *,
    span: tuple[datetime, datetime],
    at: datetime,
    key_id: int,
) -> Root:
    """The next link of a shard's chain, to be signed. ``span``: when its first and last row were booked."""
    return Root(
        shard=shard,
        seq=1 if before is None else before.seq + 1,
        leaves=tuple(leaves),
        first=span[0],
        last=span[1],
        merkle_root=root_of([leaf.hash for leaf in leaves]),
        prev_hash=GENESIS if before is None else before.hash(),
        sealed_at=at,
        key_id=key_id,
    )


def signature_holds(statement: Mapping[str, Any], signature: bytes, keys: Mapping[int, bytes]) -> bool:
    """Whether a root's statement was signed by the key that it names; False for unknown keys."""
    key = keys.get(statement.get("key_id", -1))
    if key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical(statement))
    except (InvalidSignature, ValueError):
        return False
    return True
