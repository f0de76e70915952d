"""Pages of operations: reconciliation, vouchers, disputes, messages, dialogs, and the live dashboard."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from engine.api import Hop
from engine.words import Role
from portal.console.proof import KEY as PROOF
from runtime.pulse import Pulse
from tests.portal.console.conftest import Client, Console
from tests.portal.console.finance.ground import line_of, rows, settled_payment, today
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEADER = "id,payment_id,state,amount,currency,fee,at,account_number"


async def test_a_discrepancy_is_owned_explained_and_told_in_the_report(paying: Console, client: Client) -> None:
    payment = await settled_payment(paying)
    at = datetime.now(UTC).isoformat()
    run = await paying.engine.reconciliation.reconcile(
        "sandbox",
        [HEADER, f"{payment.gateway_ref},{payment.payment_id},captured,4900,KES,0,{at},", "broken"],
        by="finance",
        source="file:=day.csv",
        first=date.fromisoformat(today(paying)),
    )
    assert run.found >= 1
    await client.sign_in(paying.people[Role.FINANCE])
    _, page = await client.get("/reconciliation")
    number = re.search(r"/console/reconciliation/([0-9a-f-]{36})", page)
    assert number is not None and (payment.gateway_ref or "?") in page
    path = f"/reconciliation/{number[1]}"
    await client.get(path)
    assert (await client.post(f"{path}/assign", owner="amina", why="her gateway"))[0] == 303
    assert (await client.post(f"{path}/resolve", resolution="cleared", why="no"))[0] == 422
    assert (await client.post(f"{path}/resolve", resolution="explained", why="fee was kept"))[0] == 303
    assert (await client.post(f"{path}/resolve", resolution="explained", why="again"))[0] == 422
    _, page = await client.get(path)
    assert "Explained" in page and "fee was kept" in page
    _, text = await client.get("/reconciliation.csv?resolved=yes")
    (row,) = [one for one in csv.DictReader(io.StringIO(text)) if one["id"] == number[1]]
    assert (row["stated"], row["booked"], row["state"], row["resolution"]) == ("4900", "5000", "resolved", "explained")
    assert "KES 49.00" in (await client.get("/reconciliation/report?resolved=yes"))[1]
    assert "Line 3" in (await client.get("/reconciliation/runs"))[1]
    assert (await client.get("/reconciliation/figures"))[0] == 200


async def test_a_batch_goes_through_its_life_by_two_people(paying: Console, client: Client) -> None:
    batch, _ = await paying.engine.vouchers.create_batch(5_000, 10, "finance")
    path = f"/vouchers/{batch.batch_id}"
    await client.sign_in(paying.people[Role.FINANCE])
    assert "in 1 batch" in (await client.get("/vouchers?state=created"))[1]
    await client.get(path)
    assert (await client.post(f"{path}/block", serial="3", why="torn"))[0] == 303
    assert (await client.post(f"{path}/block", serial="3", why="torn"))[0] == 422
    assert (await client.post(f"{path}/move", to="active", why="too early"))[0] == 422
    for state in ("printed", "shipped"):
        assert (await client.post(f"{path}/move", to=state, why="next"))[0] == 303
    _, page = await client.get(path)
    assert "somebody else has to put it on sale" in page and 'value="active"' not in page
    assert (await client.post(f"{path}/move", to="active", why="I may not"))[0] == 422
    await client.post("/sign-out")
    await client.sign_in(paying.people[Role.ADMIN])
    await client.get(path)
    assert (await client.post(f"{path}/move", to="active", why="checked"))[0] == 303
    found = await paying.engine.vouchers.batch(batch.batch_id)
    assert (found.state, found.activated_by, found.blocked) == ("active", "admin", 1)
    kept = await rows(paying, "SELECT what FROM staff_action WHERE what LIKE 'voucher.%%' AND \"by\" = 'admin'")
    assert kept == [("voucher.move",)]


async def test_a_dispute_is_opened_with_evidence_and_paid_by_somebody_else(paying: Console, client: Client) -> None:
    payment = await settled_payment(paying)
    await client.sign_in(paying.people[Role.ADMIN])
    await client.get("/disputes")
    status, where = await client.post("/disputes", reference=payment.reference, why="never arrived")
    assert status == 303
    path = where.removeprefix("/console").partition("?")[0]
    status, page = await client.get(path)
    assert status == 200 and "Bookings" in page and str(payment.payment_id) in page
    assert (await client.post(f"{path}/resolve", outcome="refund", why="mine"))[0] == 422
    await client.post("/sign-out")
    admin = {one.name: one for one in await paying.engine.staff.members()}["admin"]
    await client.sign_in(await paying.engine.staff.add("puppet", Role.FINANCE, by=admin, why="new"))
    await client.get(path)
    assert (await client.post(f"{path}/resolve", outcome="refund", why="mine too"))[0] == 422
    await client.post("/sign-out")
    await client.sign_in(paying.people[Role.FINANCE])
    await client.get(path)
    assert (await client.post(f"{path}/resolve", outcome="refund", why="agreed"))[0] == 303
    case, _ = await paying.engine.disputes.find(path.rpartition("/")[2])
    assert (case.outcome, case.resolved_by) == ("refund", "finance")
    assert (await client.post(f"{path}/resolve", outcome="refused", why="again"))[0] == 422
    assert (await client.post("/disputes", reference="NOSUCH", why="x"))[0] == 422


async def test_messages_given_up_are_sent_again_and_campaigns_say_how_far_they_are(
    paying: Console, client: Client
) -> None:
    line = await line_of(paying)
    message = uuid4()
    assert await paying.engine.tell(line.account, line.line_id, message, "security.pin_changed", {})
    campaign = await paying.engine.campaigns.start("rain & data", "data")
    await paying.engine.campaigns.write_to(campaign, [line.msisdn], lambda _: "Hello")
    await rows(
        paying,
        "UPDATE outbox SET state = 'parked', error = 'unknown: timeout' WHERE message_id = %s RETURNING 1",
        message,
    )
    await rows(
        paying,
        "INSERT INTO delivery (shard, message_id, event_id, state, carrier, error, at)"
        " SELECT shard, message_id, %s, 'failed', 'twilio', 'timeout', now() FROM outbox WHERE message_id = %s"
        " RETURNING 1",
        uuid4(),
        message,
    )
    await client.sign_in(paying.people[Role.SUPPORT])
    _, page = await client.get("/notifications")
    assert message.hex[-8:] in page and "unknown: timeout" in page
    assert "twilio" in (await client.get(f"/notifications/{message}"))[1]
    assert (await client.post(f"/notifications/{message}/resend", why="number was off"))[0] == 303
    assert (await client.post(f"/notifications/{message}/resend", why="again"))[0] == 422
    assert "/console/campaigns/rain%20%26%20data" in (await client.get("/campaigns"))[1]
    status, page = await client.get("/campaigns/rain%20%26%20data")
    assert status == 200 and "1 message" in page


async def test_the_dialogs_are_drawn_with_what_people_do_on_them(paying: Console, client: Client) -> None:
    await client.sign_in(paying.people[Role.AUDITOR])
    names = re.findall(r"/console/dialogs/([a-z_]+)\?", (await client.get("/dialogs"))[1])
    assert "recharge" in names
    name = names[0]
    status, page = await client.get(f"/dialogs/{name}?days=30")
    assert status == 200
    states = re.findall(rf'class="mono">({name}\.[a-z_]+)</th>', page)
    assert states
    # Two of four sessions were left on it.
    ago = datetime.now(UTC) - timedelta(hours=1)
    hops = [Hop(bytes([number]) * 16, ago, "ussd", "en", states[0], number > 1) for number in range(4)]
    await paying.engine.hops.keep(hops)
    _, page = await client.get(f"/dialogs/{name}?days=30")
    assert "50.0 %" in page
    status, drawing = await client.get(f"/dialogs/{name}/drawing.svg?days=30")
    assert status == 200 and drawing.startswith("<svg") and "4 shown, 50% leave" in drawing
    assert (await client.get(f"/dialogs/{name}?days=3"))[0] == 400
    assert (await client.get("/dialogs/nothing"))[0] == 404


async def test_the_dialogs_are_drawn_as_the_operators_file_stands_now(paying: Console, client: Client) -> None:
    await client.sign_in(paying.people[Role.AUDITOR])
    assert "advance" in re.findall(r"/console/dialogs/([a-z_]+)\?", (await client.get("/dialogs"))[1])
    operator = paying.services.operator
    own = {"en": {"Recharge by:": "Top up with:"}}
    rules = operator.dialogs.model_copy(update={"disabled": ("advance",), "texts": own})
    operator.adopt(operator.model_copy(update={"dialogs": rules}))
    assert "advance" not in re.findall(r"/console/dialogs/([a-z_]+)\?", (await client.get("/dialogs"))[1])
    assert (await client.get("/dialogs/advance"))[0] == 404
    assert "Top up with:" in (await client.get("/dialogs/pay/drawing.svg"))[1]


async def test_why_something_was_not_done_is_said_in_the_language_of_who_asked(paying: Console, client: Client) -> None:
    await client.sign_in(paying.people[Role.FINANCE])
    await client.get("/disputes?lang=fr")
    status, page = await client.post("/disputes", reference="NOSUCH", why="x")
    assert status == 422 and "Rien ici n&#39;a cette référence." in page and "Il dit" not in page


async def test_what_was_not_done_can_be_put_right_where_it_was_typed(paying: Console, client: Client) -> None:
    await client.sign_in(paying.people[Role.ADMIN])
    _, page = await client.post("/disputes", reference="NOSUCH", why="called at <9>")
    assert 'value="NOSUCH"' in page and 'value="called at &lt;9&gt;"' in page
    _, page = await client.post("/lists", kind="payer", who="+254", verdict="allow", days="x", why="ours")
    assert all(one in page for one in ('value="+254"', 'value="payer" selected', 'value="allow" required checked'))
    # Each form has its own.
    assert page.count('value="ours"') == page.count('value="+254"') == 1
    _, page = await client.post("/staff", name="Not A Name", role="auditor", why="new here")
    assert 'value="Not A Name"' in page and 'value="auditor" selected' in page and 'value="new here"' in page
    assert "new here" not in (await client.get("/staff"))[1]


async def test_the_dashboard_tells_of_all_processes_and_names_whose_books_are_wrong(
    paying: Console, client: Client
) -> None:
    payment = await settled_payment(paying)
    redis = paying.services.redis
    for kind in ("ussd", "bot"):
        await Pulse(redis, paying.services.metrics, kind).beat()
    await client.sign_in(paying.people[Role.SUPPORT])
    _, page = await client.get("/dashboard")
    assert "The books are being proved" in page
    for kind in ("ussd", "bot"):
        assert re.search(rf'class="mono">{kind}</th><td class="number">1<', page)

    async def proved() -> bool:
        return "The books are right" in (await client.get("/dashboard"))[1]

    await until(proved)
    await rows(paying, "UPDATE bucket SET amount = amount + 1 WHERE account_id = %s RETURNING 1", payment.account[1])
    await redis.delete(PROOF)
    async with client.http.get(f"{client.url}/dashboard/live") as stream:
        async for line in stream.content:
            if b"bucket_amount" in line:
                break
    _, page = await client.get("/dashboard")
    assert "broken" in page and str(payment.account.account_id) in page
