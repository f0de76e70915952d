"""The carrier of the phone simulator: texts appear in its inbox."""
