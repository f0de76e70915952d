"""The adapter of every gateway whose format is a data file: ``channels/ussd/spelled/<name>.toml``, or a file elsewhere.

``adapter = "arkesel"`` takes the file of that name here; ``adapter = "spelled"`` with ``options = {file = "…"}`` an
operator's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import (
    SEQUENCE,
    SESSION_ID,
    dialled,
    form,
    json_object,
    number,
    optional,
    query,
    typed,
    word,
)
from channels.ussd.spelled.spelling import CONTINUES, ENDS, VARIABLE, AnswerSpelling, Spelling, is_choice, spelt
from configuration.options import OptionsModel, read_options

CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain"}
#: a code or, from apps, a service's name
CODE = re.compile(r"[A-Za-z0-9*#_-]{1,80}")
#: what an answer repeats: one line of anything
ECHO = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


class FileOptions(OptionsModel):
    """Where an operator's own data file lies; it has been read by then."""

    file: str = ""


@dataclass(frozen=True, slots=True)
class Spelled:
    """Makes adapters of one spelling: what an adapter's class is elsewhere."""

    spelling: Spelling
    #: no spelling has words for it
    takes_money: ClassVar[bool] = False

    @property
    def session_seconds(self) -> int:
        """How long the gateway lets one session last."""
        return self.spelling.session_seconds

    @property
    def most_septets(self) -> int:
        """What a screen holds at most."""
        return self.spelling.septets

    @property
    def most_ucs2(self) -> int:
        """The same in UCS-2 units."""
        return self.spelling.ucs2

    def __call__(self, name: str, service_code: str, options: Options) -> Gateway:
        """The adapter of one configured gateway. Raises ``WrongOptions``."""
        read_options(FileOptions, options)
        return Gateway(name, service_code, self.spelling)


class Gateway(Adapter):
    """One configured gateway of a spelling."""

    def __init__(self, name: str, service_code: str, spelling: Spelling) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        self._name = name
        self._service_code = service_code
        self._spelling = spelling
        self._names = spelling.request
        event = spelling.request.event
        self._events = event.events() if event is not None else {}
        self.session_seconds = spelling.session_seconds
        self.methods = frozenset(spelling.methods)
        self.outcomes = frozenset(value for value, meant in self._events.items() if meant is Event.CLOSE)

    def read(self, request: Request) -> Turn | SessionEnd:
        """A hop, or the session's end. Raises ``Malformed``."""
        fields = self._fields(request)
        event, said = self._event(fields)
        if event is Event.CLOSE:
            return SessionEnd(turn=self._turn(fields, event, ""), outcome=said)
        text = typed(fields, self._names.text, required=event is not Event.NEW)
        turn = self._turn(fields, event or (Event.RESUME if text else Event.NEW), text)
        if turn.event is Event.NEW and self._names.dialled:
            return replace(turn, text=dialled(text, turn.service_code))
        return turn

    def write(self, reply: Reply, turn: Turn) -> Response:
        """The answer as the file spells it."""
        known = {
            "session": turn.session_id,
            "number": turn.msisdn,
            "text": reply.text,
            "title": reply.text.partition("\n")[0],
            "label": reply.label,
            "sequence": turn.sequence,
            "code": turn.service_code.strip("*#"),
        }
        return _rendered(self._spelling.answer, ENDS if reply.ends else CONTINUES, {**turn.echo, **known})

    def write_malformed(self, error: Malformed) -> Response:
        """The field and the reason."""
        return _rendered(self._spelling.refusal, ENDS, {"field": error.field, "reason": error.reason})

    def write_event(self, ended: SessionEnd) -> Response:
        """A last answer that says nothing: nobody reads it."""
        return self.write(Reply(text="", ends=True), ended.turn)

    def _fields(self, request: Request) -> Mapping[str, Any]:
        if self._spelling.body == "json":
            return _Dotted(json_object(request.body))
        if self._spelling.body == "query":
            return query(request)
        return form(request.body)

    def _event(self, fields: Mapping[str, Any]) -> tuple[Event | None, str]:
        """The event and the word for it; None where only the text tells."""
        if self._names.event is None:
            return None, ""
        name = self._names.event.field
        value = fields.get(name)
        if value is None:
            raise Malformed(name, "missing")
        said = spelt(value)
        event = self._events.get(said)
        if event is None:
            raise Malformed(name, "not known")
        return event, said

    def _turn(self, fields: Mapping[str, Any], event: Event, text: str) -> Turn:
        names = self._names
        session = ""
        if names.session is not None:
            session = (optional if names.session_optional else word)(fields, names.session, SESSION_ID)
        code = optional(fields, names.code, CODE) if names.code is not None else ""
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=session,
            msisdn=number(fields, names.number),
            text=text,
            event=event,
            cumulative=names.cumulative,
            service_code=f"*{(code or self._service_code).strip('*#')}#",
            sequence=optional(fields, names.sequence, SEQUENCE) if names.sequence is not None else "",
            echo={name: optional(fields, name, ECHO) for name in names.echo},
        )


class _Dotted(Mapping[str, Any]):
    """A JSON object whose inner fields are found by a path: ``payload.response``."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def __getitem__(self, name: str) -> Any:
        found: Any = self._content
        for part in name.split("."):
            if not isinstance(found, dict):
                raise KeyError(name)
            found = found[part]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def _rendered(answer: AnswerSpelling, side: str, known: Mapping[str, str]) -> Response:
    """An answer with its choices taken for ``side`` and its variables put in, once."""
    filled = _filled(answer.text if answer.format == "text" else answer.fields, side, known)
    if answer.format == "json":
        body = msgspec.json.encode(filled)
    elif answer.format == "form":
        body = urlencode(filled).encode()
    else:
        body = str(filled).encode()
    headers = {name: str(_filled(value, side, known)) for name, value in answer.headers.items()}
    return Response(answer.status, answer.content_type or CONTENT_TYPES[answer.format], body, headers)


def _filled(value: Any, side: str, known: Mapping[str, str]) -> Any:
    if is_choice(value):
        value = value[side]
    if isinstance(value, str):
        return VARIABLE.sub(lambda variable: known[variable[1]], value)
    if isinstance(value, dict):
        return {name: _filled(inner, side, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, side, known) for inner in value]
    return value
