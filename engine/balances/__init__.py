"""Buckets and the catalogue: what a line may use, and what can be bought."""
