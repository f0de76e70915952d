"""Infobip USSD: JSON on a path that names the session and the step."""
