"""What Rasid counts and times, named in one place (Prometheus: base units, ``_total`` for counters)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

#: seconds; a USSD gateway waits between 5 and 10
TURN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: seconds; what happens inside a turn or a commit
STEP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
#: seconds; quiet hours and dead carriers make the long ones
WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0, 43_200.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 250)


class Metrics:
    """The meters of one process, in a registry of their own. Labels never hold numbers or anything a person typed."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        #: one turn from request to answer; outcome: answered, replayed, refused, malformed, late, failed
        self.turn_seconds = self._histogram(
            "rasid_turn_seconds", "One turn, wire to wire", ["gateway", "outcome"], TURN_BUCKETS
        )
        #: phase: begin, read, dialog, layout, end
        self.turn_phase_seconds = self._histogram(
            "rasid_turn_phase_seconds", "A part of a turn", ["phase"], STEP_BUCKETS
        )
        #: outcome as the gateway tells it: success, incomplete, failed, other
        self.session_ends = self._counter("rasid_session_ends", "Sessions that a gateway ended", ["gateway", "outcome"])
        #: kind and code as in engine.words
        self.operations = self._counter("rasid_operations", "Operations posted", ["kind", "code"])
        self.batch_size = self._histogram("rasid_batch_size", "Operations in one commit", [], BATCH_BUCKETS)
        self.lane_seconds = self._histogram(
            "rasid_lane_seconds", "One batch of a lane, up to its commit", [], STEP_BUCKETS
        )
        #: layer: account, method, balance
        self.validation_seconds = self._histogram(
            "rasid_validation_seconds", "One validation layer over one batch", ["layer"], STEP_BUCKETS
        )
        #: outcome: delivered, rerouted (another carrier is asked), retried, parked, logged
        self.outbox_deliveries = self._counter("rasid_outbox_deliveries", "Messages handed on", ["topic", "outcome"])
        #: kind: text, report, optout; outcome: taken, unverified, malformed, ignored, failed
        self.carrier_calls = self._counter(
            "rasid_carrier_calls", "Requests of SMS carriers", ["carrier", "kind", "outcome"]
        )
        self.outbox_wait_seconds = self._histogram(
            "rasid_outbox_wait_seconds", "From the commit that a message tells of to a carrier that has it", [], WAITS
        )
        #: outcome: sent, or the kind of refusal: retry, throttled, permanent, reroute, unknown
        self.carrier_sends = self._counter("rasid_carrier_sends", "Texts offered to a carrier", ["carrier", "outcome"])
        self.carrier_seconds = self._histogram(
            "rasid_carrier_seconds", "One text at a carrier, until it answered", ["carrier"], TURN_BUCKETS
        )
        #: 0 closed, 1 half open, 2 open; of several processes the worst
        self.carrier_breaker = Gauge(
            "rasid_carrier_breaker", "Whether texts go through a carrier", ["carrier"], registry=self.registry
        )
        #: state as a payment reaches it
        self.payments = self._counter("rasid_payments", "Payments that came to a state", ["gateway", "state"])
        #: call: charge, status, confirm, cancel, refund; outcome: the gateway's state
        self.gateway_seconds = self._histogram(
            "rasid_gateway_seconds", "One call to a payment gateway", ["gateway", "call", "outcome"], TURN_BUCKETS
        )
        #: outcome: done, again (seen before), waiting (kept, not settled yet), refused, unavailable
        self.gateway_callbacks = self._counter(
            "rasid_gateway_callbacks", "Callbacks of payment gateways", ["gateway", "outcome"]
        )
        self.settlement_seconds = self._histogram(
            "rasid_settlement_seconds",
            "From a callback's arrival to its settlement's commit",
            ["gateway"],
            TURN_BUCKETS,
        )
        #: kind: start, interim_update, stop …; outcome: answered, or why not: unknown_client, bad_secret, malformed,
        #: unknown_line, under_way (its twin is), too_many, unavailable, failed, or the engine's refusal
        self.radius_packets = self._counter(
            "rasid_radius_packets", "Requests of access servers", ["client", "kind", "outcome"]
        )
        #: command as RFC 8506 and RFC 6733 abbreviate it; result: Result-Code
        self.diameter_requests = self._counter(
            "rasid_diameter_requests", "Requests of Diameter peers", ["peer", "command", "result"]
        )
        #: home: the first book of a database beside billing's; as the last recovery saw it
        self.prepared_seconds = Gauge(
            "rasid_prepared_seconds",
            "Age of the oldest part of a batch that waits in a database",
            ["home"],
            registry=self.registry,
        )
        #: alarm: what somebody has to look at, as in the log and in ``alarm.raised``
        self.alarms = self._counter("rasid_alarms", "Alarms raised", ["alarm"])
        self.wrong_vouchers = self._counter("rasid_wrong_vouchers", "Voucher numbers that do not exist", [])

    def render(self) -> bytes:
        """All meters in the text format of ``/metrics``, to be sent as ``content_type``."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
