"""Emergency credit."""
