"""The language of a line."""
