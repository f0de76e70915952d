"""A long text in messages of a carrier's limit: pure, no I/O."""

from __future__ import annotations


def pieces(text: str, most: int) -> list[str]:
    """``text`` in pieces of at most ``most`` characters, cut after a line or a word where there is one.

    Nothing is lost but the blanks at the cuts; a blank text has no pieces.
    """
    found: list[str] = []
    rest = text.strip()
    while len(rest) > most:
        # A cut in the first half would make many short messages; then rather within a line, or a word.
        cut = max(rest.rfind("\n", most // 2, most + 1), 0) or max(rest.rfind(" ", most // 2, most + 1), 0) or most
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest else found
