"""The data file of a gateway: where a request says what, and what the answer looks like.

``docs/how-to/add-a-gateway.md`` shows one. What is wrong in a file is refused at start, all of it, by name.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from channels.turn import Event
from configuration.options import WrongOptions

#: a value of the answer that is put in: ``$text`` alone, or among other words
VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
#: what an answer may say besides the fields it repeats
KNOWN = frozenset({"session", "number", "text", "title", "label", "sequence", "code"})
KNOWN_OF_REFUSALS = frozenset({"field", "reason"})
#: a table with exactly these keys is one of two values
CONTINUES, ENDS = "continues", "ends"

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]
#: as they are spelt in the file: a gateway's values are compared without regard to case and kind, 1 and "1" are one
Values = tuple[str | int | bool, ...]


class Table(BaseModel):
    """Refuses unknown keys, so that a misspelt one is named instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EventField(Table):
    """The field that says whether a session begins, goes on or is over."""

    field: FieldName
    new: Values = Field(min_length=1)
    resume: Values = Field(min_length=1)
    close: Values = ()

    def events(self) -> dict[str, Event]:
        """Each value, as ``spelt`` says it, with its event."""
        meant = ((Event.NEW, self.new), (Event.RESUME, self.resume), (Event.CLOSE, self.close))
        return {spelt(value): event for event, values in meant for value in values}

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if len(self.events()) < len(self.new) + len(self.resume) + len(self.close):
            raise ValueError("a value has two meanings")
        return self


class RequestSpelling(Table):
    """Names of the request's fields; in JSON a dot leads into an object."""

    #: empty: the gateway has no session id, or ``session_optional``: some of its accounts have none
    session: FieldName | None = None
    session_optional: bool = False
    number: FieldName
    text: FieldName
    #: the gateway's own number of the hop, if it has one: a retry has the same
    sequence: FieldName | None = None
    #: what was dialled, without what follows it; where there is no such field the settings' code is meant
    code: FieldName | None = None
    #: without it the first hop is the one whose text is empty, which only ``cumulative`` gateways can say
    event: EventField | None = None
    #: every hop brings all inputs so far, joined by ``*``
    cumulative: bool = False
    #: the text of the first hop is what was dialled: ``*123*2#``
    dialled: bool = False
    #: fields that the answer repeats
    echo: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.event is None and not self.cumulative:
            raise ValueError("event is not set: where inputs come one by one it must tell a first hop")
        if self.session is None and self.cumulative:
            raise ValueError("session is not set: it is what inputs that pile up belong to")
        if taken := KNOWN & {*self.echo}:
            raise ValueError(f"echo: {min(taken)} means something else in an answer")
        return self


def _content_type(value: str) -> str:
    if not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", value):
        raise ValueError("not a content type such as text/plain")
    return value


class AnswerSpelling(Table):
    """What goes back: a JSON object or form of ``fields``, or a ``text``; values may hold ``$session``, ``$text``."""

    format: Literal["json", "form", "text"]
    status: int = Field(default=200, ge=200, le=599)
    content_type: Annotated[str, AfterValidator(_content_type)] | None = None
    fields: dict[str, Any] = {}
    text: str | dict[str, str] = ""
    headers: dict[str, str | dict[str, str]] = {}

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.format == "text") == bool(self.fields) or (self.format == "text") != bool(self.text):
            raise ValueError("text belongs to the format text, fields to the others")
        return self

    def variables(self) -> set[str]:
        """Everything that is put in somewhere."""
        return _variables([self.fields, self.text, self.headers])


#: where a file says nothing of it
REFUSAL = AnswerSpelling(format="json", status=400, fields={"error": "$field: $reason"})


class Spelling(Table):
    """One gateway."""

    title: str
    #: where the format is known from
    source: str
    session_seconds: int = Field(ge=10, le=3600)
    #: what a screen holds at most, whatever the settings allow: GSM 03.38 septets, UCS-2 units
    septets: int = Field(default=182, ge=40, le=182)
    ucs2: int = Field(default=80, ge=20, le=80)
    body: Literal["json", "form", "query"]
    methods: tuple[Literal["GET", "POST", "PUT"], ...] = ("POST",)
    request: RequestSpelling
    answer: AnswerSpelling
    #: the answer to what cannot be read
    refusal: AnswerSpelling = REFUSAL

    @model_validator(mode="after")
    def _says_what_it_knows(self) -> Self:
        unknown = self.answer.variables() - KNOWN - {*self.request.echo}
        unknown |= self.refusal.variables() - KNOWN_OF_REFUSALS
        if unknown:
            raise ValueError(f"nothing is known as ${min(unknown)}; a field to repeat stands in request.echo")
        if "text" not in self.answer.variables():
            raise ValueError("the answer does not say $text")
        return self


@cache
def read_spelling(path: Path) -> Spelling:
    """A gateway's data file. Raises ``WrongOptions``, each problem by its place in the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Spelling.model_validate(content)
    except OSError as error:
        raise WrongOptions([("file", f"{path} cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongOptions([("file", f"{path} is not TOML: {error}")]) from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise WrongOptions(
            [
                (".".join(["file", *map(str, one["loc"])]), f"{path.name}: {one['msg'].removeprefix('Value error, ')}")
                for one in found
            ]
        ) from None


def spelt(value: object) -> str:
    """A value of a request or of a file, so that 1 and "1", True and "true" are the same."""
    return str(value).strip().lower()


def is_choice(value: object) -> bool:
    """Whether a table of an answer is a choice between going on and ending."""
    return isinstance(value, dict) and value.keys() == {CONTINUES, ENDS}


def _variables(value: object) -> set[str]:
    if isinstance(value, str):
        return set(VARIABLE.findall(value))
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set[str]().union(*map(_variables, value))
    return set()
