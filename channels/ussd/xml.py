"""XML as gateways send it, read without the parts of XML that attack a reader, and written as they read it.

A document type is refused as such: with it go external entities and entities that expand without end (the "billion
laughs"). What is left is bounded in depth and in elements; routes bound the octets. Source: XML 1.0 (fifth edition).
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape

from channels.turn import Malformed

DEPTH_LIMIT = 16
ELEMENT_LIMIT = 200
#: XML 1.0 §2.2: all other characters cannot stand in a document, not even as references
ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
XML = "text/xml"


def read(body: bytes, root: str) -> Element:
    """The document in ``body``, whose outermost element must be ``root``. Raises ``Malformed``."""
    try:
        found = _Reader().read(body)
    except (ExpatError, ValueError, LookupError):
        # LookupError: an encoding that nobody knows.
        raise Malformed("body", "not XML") from None
    if found.tag != root:
        raise Malformed("body", f"not a <{root}>")
    return found


def text(element: Element, name: str) -> str | None:
    """The text of the one child of that name; None where there is none. Raises ``Malformed`` where there are more."""
    found = element.findall(name)
    if len(found) > 1:
        raise Malformed(name, "comes twice")
    return (found[0].text or "") if found else None


def content(words: str) -> str:
    """A text between tags."""
    return escape(ILLEGAL.sub("", words))


def attribute(words: str) -> str:
    """A text as an attribute's value, quoted. Line ends are references, or a reader would take them for blanks."""
    spelled = escape(ILLEGAL.sub("", words), {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
    return f'"{spelled}"'


class _Reader:
    """One document being read."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = 0
        self._elements = 0
        self._parser = ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._builder.data
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def read(self, body: bytes) -> Element:
        """The root of the document. Raises what the parser raises, and what its handlers refuse."""
        self._parser.Parse(body, True)
        return self._builder.close()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_LIMIT or self._elements > ELEMENT_LIMIT:
            raise Malformed("body", "too many elements")
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    @staticmethod
    def _refuse(*_declared: object) -> NoReturn:
        raise Malformed("body", "a document type")
