"""Africa's Talking USSD: an HTTP form in, ``CON``/``END`` text out."""
