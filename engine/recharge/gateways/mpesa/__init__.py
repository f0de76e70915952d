"""M-Pesa by Safaricom's Daraja interface: STK push, C2B, reversal (developer.safaricom.co.ke/APIs)."""
