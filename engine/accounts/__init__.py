"""Accounts and lines: who owns balances, what can be reached, and how its owner proves to be it."""
