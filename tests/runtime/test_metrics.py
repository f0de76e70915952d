"""Meters: one registry per instance, named in one place."""

from __future__ import annotations

from runtime.metrics import Metrics


def test_two_instances_do_not_share_what_they_count() -> None:
    one, two = Metrics(), Metrics()
    one.operations.labels("recharge", "ok").inc()
    assert b'rasid_operations_total{code="ok",kind="recharge"} 1.0' in one.render()
    assert b"rasid_operations_total{" not in two.render()


def test_the_page_has_every_meter_and_the_process_itself() -> None:
    metrics = Metrics()
    metrics.turn_seconds.labels("africastalking", "answered").observe(0.004)
    metrics.batch_size.observe(7)
    page = metrics.render().decode()
    for name in ("rasid_turn_seconds_bucket", "rasid_batch_size_sum 7.0", "process_resident_memory_bytes"):
        assert name in page
