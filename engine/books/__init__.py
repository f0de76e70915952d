"""The ledger and the one door: operations, transfers, outbox, lanes, invariants."""
