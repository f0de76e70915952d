"""Merkle trees as RFC 6962 §2.1 defines them, over SHA-256: roots, inclusion paths, and checking those.

Leaves and nodes are hashed with different prefixes, so that a node can never be passed off as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

LEAF, NODE = b"\x00", b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf: SHA-256(0x00 || data)."""
    return hashlib.sha256(LEAF + data).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves; of none, the hash of nothing (RFC 6962 §2.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    # Pairing neighbours and carrying an odd one up gives the tree that the RFC defines by its left-heavy split.
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf, from its sibling upwards (RFC 6962 §2.1.1). Raises ``IndexError``."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    path: list[bytes] = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _above(level), index // 2
    return path


def root_from_path(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to (RFC 9162 §2.1.3.2); None where path, index and count cannot belong together."""
    if not 0 <= index < count:
        return None
    node, last, left = leaf, count - 1, list(path)
    while last:
        # The last node of a level with an odd number of them has no sibling: it is carried up.
        if index % 2 or index < last:
            if not left:
                return None
            sibling = left.pop(0)
            node = _node(sibling, node) if index % 2 else _node(node, sibling)
        index, last = index // 2, last // 2
    return None if left else node


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [_node(level[place], level[place + 1]) for place in range(0, len(level) - 1, 2)]
    return pairs + level[len(pairs) * 2 :]
