"""Which shard a row lives in, and how ids are made.

A shard is a stable digest of an account's id (or of the digest by which a row is found), never of a number that a
person may take along to another line, and never Python's ``hash()``, which differs between processes.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from uuid_utils.compat import uuid7

#: Fixed when an installation is made: changing it would move every row.
SHARDS = 64


def shard_of(identity: bytes) -> int:
    """The shard of an account id or of a keyed digest: BLAKE2 modulo the number of shards."""
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest()) % SHARDS


def new_id() -> UUID:
    """A new id that sorts by time (RFC 9562, version 7). Made here, never in the database, so that it can be resent."""
    return uuid7()
