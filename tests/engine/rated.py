"""Rates that are easy to reckon with, gifts, advances and a policy: what the sample operator is given in tests."""

from __future__ import annotations

RATES = {
    "categories": [
        {"code": "internet", "rating_groups": [10]},
        {"code": "social", "rating_groups": [20]},
        {"code": "help", "rating_groups": [99], "zero_rated": True},
        {"code": "calls", "rating_groups": [1]},
    ],
    "rates": [
        {"code": "night", "unit": "octets", "price": 1, "per": 1_000_000, "step": 1_000_000, "time_from": "22:00",
         "time_to": "06:00"},
        {"code": "weekend", "unit": "octets", "price": 2, "per": 1_000_000, "step": 1_000_000, "days": ["sun"]},
        {"code": "data", "unit": "octets", "price": 4, "per": 1_000_000, "step": 1_000_000},
        {"code": "voice", "unit": "seconds", "price": 3, "per": 60, "step": 30},
    ],
    "quota": {"octets": [1_000_000, 20_000_000], "seconds": [60, 600], "lasts_seconds": 100},
    "policy": {"alert_shares": [50, 80, 100], "unusual_times": 5, "roll_over_times": 1},
    "transfers": [
        {"unit": "money", "least": 100, "most": 10_000, "most_per_day": 15_000, "per_day": 3, "fee": 10,
         "fee_percent": 1, "undo_minutes": 10},
        {"unit": "octets", "least": 1_000, "most": 50_000_000, "most_per_day": 100_000_000, "fee": 5},
    ],
    "advances": {"amounts": [1_000, 5_000], "fee_percent": 10, "balance_below": 500, "line_days": 0, "recharges": 1},
}  # fmt: skip
