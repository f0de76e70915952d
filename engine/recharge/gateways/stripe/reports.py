"""Fetching Stripe's report of balance transactions: a run is asked for, and its file fetched once it has succeeded.

Source: docs.stripe.com/reports/api (report runs) and docs.stripe.com/api/files. A run takes minutes, and nothing is
remembered here: asked for again under the same idempotency key, Stripe names the same run.
"""

from __future__ import annotations

from datetime import datetime
from typing import IO

from engine.recharge.gateways.http import NoAnswer, NotSent
from engine.recharge.gateways.stripe.client import Stripe
from engine.recharge.gateways.stripe.settlement import NEEDED, PAYMENT
from engine.recharge.gateways.stripe.webhook import ID

REPORT = "balance_change_from_activity.itemized.3"
SUCCEEDED = "succeeded"


async def fetch_report(stripe: Stripe, begins: datetime, ends: datetime) -> IO[str] | None:
    """The report from one time up to another; None while there is none: it is asked for again later."""
    first, last = int(begins.timestamp()), int(ends.timestamp())
    form = {
        "report_type": REPORT,
        "parameters[interval_start]": str(first),
        "parameters[interval_end]": str(last),
        **{f"parameters[columns][{place}]": name for place, name in enumerate((*NEEDED, PAYMENT))},
    }
    try:
        # Refused (400) while their data do not reach that far.
        run = (await stripe.create_report_run(form, f"report-{first}-{last}")).word("id")
        if not ID.fullmatch(run):
            return None
        reply = await stripe.report_run(run)
    except (NotSent, NoAnswer):
        return None
    result = reply.content.get("result")
    file = str(result.get("id")) if isinstance(result, dict) else ""
    if reply.word("status") != SUCCEEDED or not ID.fullmatch(file):
        return None
    return await stripe.file(file)
