"""Twilio: texts and WhatsApp messages over its REST interface and its webhooks."""
