"""XML from outside: what attacks a reader is refused, what is written can be read by others."""

from __future__ import annotations

import contextlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st

from channels.turn import Malformed
from channels.ussd.xml import DEPTH_LIMIT, ELEMENT_LIMIT, ILLEGAL, attribute, content, read, text

LAUGHS = b"""<!DOCTYPE ussd [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<ussd><msg>&c;</msg></ussd>"""
OUTSIDE = b'<!DOCTYPE ussd [<!ENTITY x SYSTEM "file:///etc/passwd">]><ussd><msg>&x;</msg></ussd>'
REMOTE = b'<!DOCTYPE ussd SYSTEM "http://127.0.0.1:1/x.dtd"><ussd><msg>1</msg></ussd>'


@pytest.mark.parametrize("body", [LAUGHS, OUTSIDE, REMOTE, b"<!DOCTYPE ussd><ussd/>"])
def test_a_document_type_is_refused_before_anything_of_it_is_looked_at(body: bytes) -> None:
    with pytest.raises(Malformed, match="a document type"):
        read(body, "ussd")


@pytest.mark.parametrize(
    "body",
    [
        b"<ussd><msg>&nbsp;</msg></ussd>",
        b"<ussd>",
        b"<ussd/><ussd/>",
        b"<ussd>\xff</ussd>",
        b"<ussd a='1' a='2'/>",
        b'<?xml version="1.0" encoding="nonsense"?><ussd/>',
        b"\x00",
        b"   ",
    ],
)
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="not XML"):
        read(body, "ussd")


def test_depth_and_elements_are_bounded() -> None:
    deep = b"<ussd>" * (DEPTH_LIMIT + 1) + b"</ussd>" * (DEPTH_LIMIT + 1)
    wide = b"<ussd>" + b"<a/>" * ELEMENT_LIMIT + b"</ussd>"
    for body in (deep, wide):
        with pytest.raises(Malformed, match="too many elements"):
            read(body, "ussd")


def test_other_encodings_are_read_as_declared() -> None:
    assert (
        text(
            read('<?xml version="1.0" encoding="ISO-8859-1"?><ussd><msg>é</msg></ussd>'.encode("latin-1"), "ussd"),
            "msg",
        )
        == "é"
    )


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(body, "ussd")


@given(words=st.text(max_size=80))
def test_what_is_written_is_read_back_by_another_reader(words: str) -> None:
    written = f"<a b={attribute(words)}>{content(words)}</a>".encode()
    found = ET.fromstring(written)
    kept = ILLEGAL.sub("", words)
    assert found.get("b") == kept
    # Between tags a reader makes one line end of every kind of them (XML 1.0 §2.11).
    assert (found.text or "") == kept.replace("\r\n", "\n").replace("\r", "\n")
