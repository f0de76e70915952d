"""An account on the desk."""

from __future__ import annotations

import pytest

from settings import Operator
from tests.engine.usage.desk import Desk


@pytest.fixture
def desk(rated: Operator) -> Desk:
    """An account without anything yet, at noon on a Saturday."""
    return Desk(rated)
