"""Notices: what people are told, where and when they want to hear it, and what became of it."""
