"""Disputes: a case with the evidence of every layer, an owner, a deadline and an outcome through the one door."""
