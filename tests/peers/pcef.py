"""A packet gateway, as a process: python-diameter's own node, which others wrote, with its threads and its typed codec.

Each line of its standard input is a request as JSON; each line that it prints is an answer, or a request that came.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from diameter.message import constants as names
from diameter.message.avp import Avp
from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    RequestedServiceUnit,
    SubscriptionId,
    UsedServiceUnit,
)
from diameter.message.commands import CreditControlRequest, ReAuthAnswer
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

_printing = threading.Lock()


def say(**what: Any) -> None:
    with _printing:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def heard(_app: Any, message: Any) -> Any:
    """A Re-Auth-Request: told, and taken."""
    say(heard="RAR", session=message.session_id)
    answer = message.to_answer()
    assert isinstance(answer, ReAuthAnswer)
    answer.session_id = message.session_id
    answer.origin_host, answer.origin_realm = b"pgw.test.example", b"test.example"
    answer.result_code = 2002
    return answer


def request(asked: dict[str, Any]) -> CreditControlRequest:
    made = CreditControlRequest()
    made.session_id = asked["session"]
    made.origin_host, made.origin_realm = b"pgw.test.example", b"test.example"
    made.destination_realm = b"rasid.example"
    made.service_context_id = "32251@3gpp.org"
    made.cc_request_type, made.cc_request_number = asked["type"], asked["number"]
    made.header.is_retransmit = asked.get("again", False)
    made.subscription_id = [
        SubscriptionId(subscription_id_type=kind, subscription_id_data=data)
        for kind, data in asked.get("subscriber", ())
    ]
    if asked.get("action") is not None:
        made.requested_action = asked["action"]
    for service in asked.get("services", ()):
        units = MultipleServicesCreditControl(rating_group=service["group"])
        if "asks" in service:
            units.requested_service_unit = RequestedServiceUnit(**service["asks"])
        if "used" in service:
            units.used_service_unit = [UsedServiceUnit(**service["used"])]
        made.multiple_services_credit_control.append(units)
    return made


def plain(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "result": answer.result_code,
        "session": getattr(answer, "session_id", None),
        "number": getattr(answer, "cc_request_number", None),
        "type": getattr(answer, "cc_request_type", None),
        "services": [],
        "bytes": b"".join(one.as_bytes() for one in answer.avps).hex(),
    }
    for one in getattr(answer, "multiple_services_credit_control", ()):
        granted, final = getattr(one, "granted_service_unit", None), getattr(one, "final_unit_indication", None)
        more = {avp.code: avp.value for avp in getattr(one, "additional_avps", ())}
        told["services"].append(
            {
                "group": one.rating_group,
                "result": one.result_code,
                "octets": getattr(granted, "cc_total_octets", None),
                "seconds": getattr(granted, "cc_time", None),
                "validity": getattr(one, "validity_time", None),
                "final": getattr(final, "final_unit_action", None),
                "threshold": getattr(one, "volume_quota_threshold", more.get(names.AVP_TGPP_VOLUME_QUOTA_THRESHOLD)),
            }
        )
    failed = [avp for avp in answer.avps if avp.code == names.AVP_FAILED_AVP]
    told["failed"] = [inner.code for avp in failed for inner in avp.value if isinstance(inner, Avp)]
    return told


def main() -> None:
    node = Node("pgw.test.example", "test.example")
    port, host = int(sys.argv[1]), sys.argv[2]
    realm = host.partition(".")[2]
    peer = node.add_peer(f"aaa://{host}:{port};transport=tcp", realm, ip_addresses=["127.0.0.1"], is_persistent=True)
    app = SimpleThreadingApplication(
        names.APP_DIAMETER_CREDIT_CONTROL_APPLICATION, is_auth_application=True, request_handler=heard
    )
    # Its own realm too: requests for it come from there.
    node.add_application(app, [peer], realms=["rasid.example", "test.example"])
    node.start()
    app.wait_for_ready(30)
    say(heard="CEA")
    for line in sys.stdin:
        asked = json.loads(line)
        say(answer=plain(app.send_request(request(asked), timeout=20)))


main()
