"""ChargingDataRef: the name of a charging session's resource, which says by itself where the session's line lives.

So an update needs no look-up before it is charged, and any process can serve it. A code over it keeps others from
making one up.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import NamedTuple
from uuid import UUID

from engine.words import LineRef
from runtime.keyring import Keyring

_CODE = 10
_LENGTH = 2 + 1 + 16 + 16 + 16 + _CODE


class Reference(NamedTuple):
    """A session of a line."""

    line: LineRef
    session: UUID

    def text(self, keyring: Keyring) -> str:
        """As it stands in a path."""
        key_id = keyring.current
        place = key_id.to_bytes(2) + bytes([self.line.shard]) + self.line.account_id.bytes + self.line.line_id.bytes
        named = place + self.session.bytes
        return base64.urlsafe_b64encode(named + _code(keyring, key_id, named)).decode().rstrip("=")


def read_reference(text: str, keyring: Keyring) -> Reference | None:
    """What ``Reference.text`` made; None for anything else."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    key_id = int.from_bytes(raw[:2])
    if len(raw) != _LENGTH or key_id not in keyring.ids:
        return None
    named, code = raw[:-_CODE], raw[-_CODE:]
    if not hmac.compare_digest(code, _code(keyring, key_id, named)):
        return None
    line = LineRef(raw[2], UUID(bytes=raw[3:19]), UUID(bytes=raw[19:35]))
    return Reference(line, UUID(bytes=raw[35:51]))


def _code(keyring: Keyring, key_id: int, named: bytes) -> bytes:
    return keyring.digest("charging-data-ref", named, key_id)[:_CODE]
