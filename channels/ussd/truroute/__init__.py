"""TruRoute USSD: XML in, XML out."""
