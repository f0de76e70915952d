"""A payment gateway to try everything with: ``python -m sandbox.payments`` is its other side."""
