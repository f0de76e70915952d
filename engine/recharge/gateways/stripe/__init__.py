"""Cards by Stripe's PaymentIntents (docs.stripe.com/api/payment_intents)."""
