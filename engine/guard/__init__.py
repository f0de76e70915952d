"""Validation layers: pure decisions that stand before money moves."""
