"""References name one thing of a line, cannot be made up, and survive a new master key."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, strategies as st

from engine.words import LineRef
from network.reference import Reference, read_reference
from runtime.keyring import Keyring

OLD, NEW = Keyring({1: bytes(32)}), Keyring({1: bytes(32), 2: bytes(range(32))})
IDS = st.uuids()
REFERENCES = st.builds(
    lambda shard, *ids: Reference(LineRef(shard, *ids[:2]), ids[2]), st.integers(0, 1023), IDS, IDS, IDS
)


@given(REFERENCES)
def test_what_is_written_is_read_also_after_a_key_was_added(reference: Reference) -> None:
    text = reference.text(OLD, "bucket")
    assert read_reference(text, OLD, "bucket") == read_reference(text, NEW, "bucket") == reference
    assert read_reference(reference.text(NEW, "bucket"), OLD, "bucket") is None


@given(REFERENCES)
def test_a_reference_of_one_kind_is_none_of_another(reference: Reference) -> None:
    assert read_reference(reference.text(OLD, "bucket"), OLD, "topupBalance") is None


@given(REFERENCES, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_octet_makes_it_nobody_s(reference: Reference, place: int, change: int) -> None:
    raw = bytearray(reference.thing.bytes)
    raw[place % 16] ^= change
    forged = Reference(reference.line, UUID(bytes=bytes(raw))).text(Keyring({1: b"x" * 32}), "bucket")
    assert read_reference(forged, OLD, "bucket") is None


@given(REFERENCES, st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="))
def test_one_thing_has_one_name(reference: Reference, last: str) -> None:
    text = reference.text(OLD, "bucket")
    for other in (text[:-1] + last, text + last):
        assert other == text or read_reference(other, OLD, "bucket") is None


@given(st.text(max_size=120))
def test_any_text_is_read_or_none(text: str) -> None:
    assert read_reference(text, OLD, "bucket") is None
