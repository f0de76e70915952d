"""Merkle trees against the vectors of Certificate Transparency's tests, and against the RFC's text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, strategies as st

from engine.audit.merkle import leaf_hash, path_of, root_from_path, root_of

#: the inputs of certificate-transparency's merkle tree tests
INPUTS = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
#: the roots over the first 1, 2, … 8 of them
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(data) for data in INPUTS]


def rfc_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc_root(leaves[:split]) + rfc_root(leaves[split:])).digest()


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_certificate_transparency(count):
    assert root_of(HASHES[:count]).hex() == ROOTS[count - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing():
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_every_leafs_path_leads_to_the_root_and_no_other_leafs_does(inputs, data):
    leaves = [leaf_hash(one) for one in inputs]
    root = root_of(leaves)
    assert root == rfc_root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(leaves, index)
    assert root_from_path(leaves[index], index, len(leaves), path) == root
    assert root_from_path(leaf_hash(b"someone else's"), index, len(leaves), path) != root
    assert root_from_path(leaves[index], index, len(leaves), [*path, bytes(32)]) is None
    assert root_from_path(leaves[index], len(leaves), len(leaves), path) is None
    if path:
        assert root_from_path(leaves[index], index, len(leaves), path[:-1]) is None


def test_a_node_cannot_be_passed_off_as_a_leaf():
    two = HASHES[:2]
    assert leaf_hash(two[0] + two[1]) != root_of(two)


def test_there_is_no_path_to_a_leaf_that_is_not_there():
    with pytest.raises(IndexError):
        path_of(HASHES, 8)
