"""The shapes of settings, by what they are about. Callers import them from ``settings``."""
