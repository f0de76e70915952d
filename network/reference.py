"""Names of resources that say by themselves where they live: a line, and one thing of it (session, bucket, operation).

So no look-up stands before the work, and any process can serve them. A code over the name keeps others from making one
up: who has not been given it cannot ask for it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import NamedTuple
from uuid import UUID

from engine.words import LineRef
from runtime.keyring import Keyring

#: bytes of the code: 80 bits
_CODE = 10
_LENGTH = 2 + 2 + 16 + 16 + 16 + _CODE


class Reference(NamedTuple):
    """One thing of a line."""

    line: LineRef
    thing: UUID

    def text(self, keyring: Keyring, kind: str) -> str:
        """As it stands in a path. A ``kind`` (``bucket``, ``charging-data``) is not taken for another."""
        key_id = keyring.current
        place = key_id.to_bytes(2) + self.line.shard.to_bytes(2)
        named = place + self.line.account_id.bytes + self.line.line_id.bytes + self.thing.bytes
        return _text(named + _code(keyring, kind, key_id, named))


def read_reference(text: str, keyring: Keyring, kind: str) -> Reference | None:
    """What ``Reference.text`` made for this kind; None for anything else."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if _text(raw) != text:  # bits behind the last byte: one thing has one name
        return None
    key_id = int.from_bytes(raw[:2])
    if len(raw) != _LENGTH or key_id not in keyring.ids:
        return None
    named, code = raw[:-_CODE], raw[-_CODE:]
    if not hmac.compare_digest(code, _code(keyring, kind, key_id, named)):
        return None
    line = LineRef(int.from_bytes(raw[2:4]), UUID(bytes=raw[4:20]), UUID(bytes=raw[20:36]))
    return Reference(line, UUID(bytes=raw[36:52]))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _code(keyring: Keyring, kind: str, key_id: int, named: bytes) -> bytes:
    return keyring.digest(f"reference:{kind}", named, key_id)[:_CODE]
