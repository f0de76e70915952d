"""What Rasid counts and times, named in one place (Prometheus: base units, ``_total`` for counters)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

#: seconds; a USSD gateway waits between 5 and 10
TURN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: seconds; what happens inside a turn or a commit
STEP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
#: seconds; quiet hours and dead carriers make the long ones
WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0, 43_200.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 250)


Kind = TypeVar("Kind", bound=MetricWrapperBase)


class Meter(Generic[Kind]):
    """Declares a meter in the body of ``Metrics``; each instance of that makes one for its own registry."""

    def __init__(self, kind: type[Kind], name: str, text: str, *labels: str, **options: Any) -> None:
        """``options`` are those of the kind: a histogram's ``buckets``."""
        self._kind = kind
        self._name = name
        self._text = text
        self._labels = labels
        self._options = options
        self._attribute = ""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, metrics: Metrics, _owner: type) -> Kind:
        made = self._kind(self._name, self._text, self._labels, registry=metrics.registry, **self._options)
        # From now on it is found before this is asked: counting costs no more than it would without a declaration.
        metrics.__dict__[self._attribute] = made
        return made


class Metrics:
    """The meters of one process, in a registry of their own. Labels never hold numbers or anything a person typed."""

    content_type = CONTENT_TYPE_LATEST

    #: one turn from request to answer; outcome: answered, replayed, refused, malformed, late, failed
    turn_seconds = Meter(
        Histogram, "rasid_turn_seconds", "One turn, wire to wire", "gateway", "outcome", buckets=TURN_BUCKETS
    )
    #: phase: begin, read, dialog, layout, end
    turn_phase_seconds = Meter(Histogram, "rasid_turn_phase_seconds", "A part of a turn", "phase", buckets=STEP_BUCKETS)
    #: outcome as the gateway tells it: success, incomplete, failed, other
    session_ends = Meter(Counter, "rasid_session_ends", "Sessions that a gateway ended", "gateway", "outcome")

    #: kind and code as in engine.words
    operations = Meter(Counter, "rasid_operations", "Operations posted", "kind", "code")
    batch_size = Meter(Histogram, "rasid_batch_size", "Operations in one commit", buckets=BATCH_BUCKETS)
    lane_seconds = Meter(Histogram, "rasid_lane_seconds", "One batch of a lane, up to its commit", buckets=STEP_BUCKETS)
    #: layer: account, method, balance, each for one operation on average of its batch; payment_facts and
    #: payment_account, _method, _fraud, _limits, each for a whole batch of payments
    validation_seconds = Meter(
        Histogram, "rasid_validation_seconds", "One validation layer", "layer", buckets=STEP_BUCKETS
    )
    #: home: the first book of a database beside billing's; as the last recovery saw it
    prepared_seconds = Meter(
        Gauge, "rasid_prepared_seconds", "Age of the oldest part of a batch that waits in a database", "home"
    )

    #: outcome: delivered, rerouted (another carrier is asked), retried, parked, logged
    outbox_deliveries = Meter(Counter, "rasid_outbox_deliveries", "Messages handed on", "topic", "outcome")
    outbox_wait_seconds = Meter(
        Histogram,
        "rasid_outbox_wait_seconds",
        "From the commit that a message tells of to a carrier that has it",
        buckets=WAITS,
    )
    #: kind: text, report, optout; outcome: taken, unverified, malformed, ignored, failed
    carrier_calls = Meter(Counter, "rasid_carrier_calls", "Requests of SMS carriers", "carrier", "kind", "outcome")
    #: outcome: sent, or the kind of refusal: retry, throttled, permanent, reroute, unknown
    carrier_sends = Meter(Counter, "rasid_carrier_sends", "Texts offered to a carrier", "carrier", "outcome")
    carrier_seconds = Meter(
        Histogram, "rasid_carrier_seconds", "One text at a carrier, until it answered", "carrier", buckets=TURN_BUCKETS
    )
    #: 0 closed, 1 half open, 2 open; of several processes the worst
    carrier_breaker = Meter(Gauge, "rasid_carrier_breaker", "Whether texts go through a carrier", "carrier")

    #: state as a payment reaches it
    payments = Meter(Counter, "rasid_payments", "Payments that came to a state", "gateway", "state")
    #: call: charge, status, confirm, cancel, refund; outcome: the gateway's state
    gateway_seconds = Meter(
        Histogram,
        "rasid_gateway_seconds",
        "One call to a payment gateway",
        "gateway",
        "call",
        "outcome",
        buckets=TURN_BUCKETS,
    )
    #: outcome: done, again (seen before), waiting (kept, not settled yet), refused, unavailable
    gateway_callbacks = Meter(Counter, "rasid_gateway_callbacks", "Callbacks of payment gateways", "gateway", "outcome")
    settlement_seconds = Meter(
        Histogram,
        "rasid_settlement_seconds",
        "From a callback's arrival to its settlement's commit",
        "gateway",
        buckets=TURN_BUCKETS,
    )

    #: kind: start, interim_update, stop …; outcome: answered, or why not: unknown_client, bad_secret, malformed,
    #: unknown_line, under_way (its twin is), too_many, unavailable, failed, or the engine's refusal
    radius_packets = Meter(Counter, "rasid_radius_packets", "Requests of access servers", "client", "kind", "outcome")
    #: command as RFC 8506 and RFC 6733 abbreviate it; result: Result-Code
    diameter_requests = Meter(
        Counter, "rasid_diameter_requests", "Requests of Diameter peers", "peer", "command", "result"
    )

    #: alarm: what somebody has to look at, as in the log and in ``alarm.raised``
    alarms = Meter(Counter, "rasid_alarms", "Alarms raised", "alarm")
    wrong_vouchers = Meter(Counter, "rasid_wrong_vouchers", "Voucher numbers that do not exist")

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        # All of them now: one that has not counted yet is shown too.
        for name, declared in vars(Metrics).items():
            if isinstance(declared, Meter):
                getattr(self, name)

    def render(self) -> bytes:
        """All meters in the text format of ``/metrics``, to be sent as ``content_type``."""
        return generate_latest(self.registry)
