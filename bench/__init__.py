"""The benchmark: what a turn and a recharge cost, each beside its floor on the same machine in the same run.

``python -m bench`` starts Postgres and Redis of its own, as durable as in production, and needs nothing else.
"""
