"""Recharge with a voucher."""
