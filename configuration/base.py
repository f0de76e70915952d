"""What all settings are made of: they refuse what they do not know, and errors name every setting."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

#: the name of an instance in the settings, as it stands in paths, logs and metrics
NAME = StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")

#: of any unit in one price or bucket: what is above is a mistake, and sums of many such still fit eight bytes
LARGEST = 10**15


class SettingsError(Exception):
    """Settings that cannot be used: ``problems`` holds (setting, reason), the text lists them all."""

    def __init__(self, where: str, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        lines = [f"  {name}: {reason}" for name, reason in self.problems]
        super().__init__("\n".join([f"{where}: {len(lines)} setting(s) refused", *lines]))


def problems_of(error: ValidationError, whole: str = "settings") -> list[tuple[str, str]]:
    """Each refusal by its setting's path; never the refused value, which may be a secret.

    ``whole``: what is named where settings do not go together.
    """
    reasons = {"missing": "is not set", "extra_forbidden": "no such setting"}
    return [
        (
            ".".join(str(part) for part in problem["loc"]) or whole,
            reasons.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
        )
        for problem in error.errors(include_url=False, include_input=False)
    ]


class Strict(BaseModel):
    """Refuses unknown keys, so that a misspelt one is named at start instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
