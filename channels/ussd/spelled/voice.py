"""A data file spoken from the gateway's side: requests are made from it, and answers held against it, word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from channels.ussd.spelled.spelling import CONTINUES, ENDS, VARIABLE, Spelling, Values, is_choice
from channels.ussd.voice import Call, Heard, Misread, Voice, json_of


class SpelledVoice(Voice):
    """One session of a gateway of a spelling."""

    def __init__(self, spelling: Spelling, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(session_id, msisdn, service_code)
        self._spelling = spelling
        self._hops = 0
        self._inputs: list[str] = []

    def dial(self, beyond: str = "") -> Call:
        """The first hop."""
        names = self._spelling.request
        self._inputs = beyond.split("*") if beyond else []
        return self._call(self.dialled(beyond) if names.dialled else beyond, "new")

    def say(self, typed: str) -> Call:
        """The next hop."""
        self._inputs.append(typed)
        return self._call("*".join(self._inputs) if self._spelling.request.cumulative else typed, "resume")

    def hang_up(self) -> Call | None:
        """The value of ``event.close``, if there is one."""
        event = self._spelling.request.event
        return self._call("", "close") if event is not None and event.close else None

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """The one reading, going on or ending, under which the answer is as the file says."""
        answer = self._spelling.answer
        wanted: Any = answer.text if answer.format == "text" else answer.fields
        found: Any
        if answer.format == "json":
            found = json_of(body)
        else:
            words = body.decode()
            found = words if answer.format == "text" else dict(parse_qsl(words, keep_blank_values=True))
        sides = {}
        for side in (CONTINUES, ENDS):
            read: dict[str, str] = {}
            shown = {name: headers.get(name, "") for name in answer.headers}
            if _agrees(wanted, found, side, read) and _agrees(answer.headers, shown, side, read):
                sides[side] = read.get("text", "")
        if not sides:
            raise Misread("not as the data file spells it")
        side = CONTINUES if CONTINUES in sides else ENDS
        return Heard(sides[side], side == ENDS)

    def _call(self, text: str, event: str) -> Call:
        names = self._spelling.request
        self._hops += 1
        fields: dict[str, Any] = dict.fromkeys(names.echo, "kit") | {names.number: self.digits, names.text: text}
        optional = {names.session: self.session_id, names.sequence: str(self._hops), names.code: self.service_code}
        fields |= {name: value for name, value in optional.items() if name is not None}
        if names.event is not None:
            values: Values = getattr(names.event, event)
            fields[names.event.field] = values[0]
        method = self._spelling.methods[0]
        if self._spelling.body == "json":
            return Call.json(_nested(fields))._replace(method=method)
        words = {name: str(value) for name, value in fields.items()}
        return Call(method, query=words) if self._spelling.body == "query" else Call.form(words)._replace(method=method)


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``payload.response`` as an object within an object."""
    content: dict[str, Any] = {}
    for name, value in fields.items():
        *outer, last = name.split(".")
        inside = content
        for part in outer:
            inside = inside.setdefault(part, {})
        inside[last] = value
    return content


def _agrees(wanted: Any, found: Any, side: str, read: dict[str, str]) -> bool:
    """Whether an answer is the file's; what stands for a variable is put into ``read``, the same everywhere."""
    if is_choice(wanted):
        wanted = wanted[side]
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_agrees(value, found[name], side, read) for name, value in wanted.items())
        )
    if not isinstance(wanted, str) or not isinstance(found, str):
        return type(wanted) is type(found) and wanted == found
    pattern = "".join(
        f"(?P<{part[1:]}>.*)" if VARIABLE.fullmatch(part) else re.escape(part)
        for part in re.split(r"(\$[A-Za-z_][A-Za-z0-9_]*)", wanted)
    )
    match = re.fullmatch(pattern, found, re.DOTALL)
    if match is None:
        return False
    groups = match.groupdict()
    agreed = all(read.get(name, value) == value for name, value in groups.items())
    read.update(groups)
    return agreed
