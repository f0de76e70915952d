"""Buckets and the catalogue: what a line may use, buy, give, borrow and renew."""
