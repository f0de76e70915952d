"""The question for who dials again after a session that broke off: go on, or begin anew."""

from __future__ import annotations

from collections.abc import Sequence

from dialogs.resuming import WHERE_YOU_LEFT, continued
from dialogs.values import text
from dialogs.words import Dialog, MoneyStep, Resume


def resume(others: Sequence[Dialog]) -> Dialog:
    """``others``: the dialogs that can be come back to. Their money steps are told in their own words."""
    steps = [state for dialog in others for state in dialog.states if isinstance(state, MoneyStep)]
    question = Resume(
        name="resume.question",
        text=lambda data: data["what"],
        yes=text("Yes"),
        anew=text("Start again"),
        redirects=("main_menu.home",),
        samples=(
            {"what": WHERE_YOU_LEFT},
            *({"what": continued(step, sample)} for step in steps for sample in step.samples),
        ),
    )
    return Dialog(name="resume", states=(question,), entries=(question.name,))
