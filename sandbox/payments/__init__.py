"""Payment providers to try everything with: one of its own, and as far as needed Daraja, Stripe and an acquiring bank.

``python -m sandbox.payments --port 8090 --state FILE``. What becomes of a payment is chosen by its amount or by a
script.
"""
