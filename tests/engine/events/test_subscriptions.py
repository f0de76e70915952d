"""Who is told: a subscription is kept sealed and written down, a bad one is refused by its field."""

from __future__ import annotations

import pytest

from tests.engine.events.receiver import SECRET, subscribed


async def test_a_subscription_is_kept_sealed_and_in_the_audit_trail(engine, owner, receiver):
    made = await subscribed(engine, receiver)
    (kept,) = await engine.events.list()
    assert kept == made == await engine.events.find(made.subscription_id)
    (row,) = owner.execute("SELECT s::text FROM subscription s").fetchall()
    assert SECRET not in row[0] and SECRET.encode().hex() not in row[0]
    assert owner.execute("SELECT what, by FROM staff_action").fetchall() == [("events.subscribe", "amina")]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"callback": "http://example.com/"}, "callback"),
        ({"callback": "https://192.168.0.1/"}, "callback"),
        ({"secret": "short"}, "secret"),
        ({"secret": "é" * 30}, "secret"),
        ({"topics": ["nonsense"]}, "topics"),
        ({"query": "x=y"}, "query"),
        ({"by": " "}, "by"),
    ],
)
async def test_a_bad_subscription_is_refused_by_its_field(given, field, engine, owner):
    good = {"callback": "https://example.com/hook", "secret": SECRET, "by": "amina"}
    with pytest.raises(ValueError, match=f"^{field}"):
        await engine.events.subscribe(**good | given)
    assert owner.execute("SELECT FROM subscription").fetchall() == []
