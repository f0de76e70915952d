"""Payment gateways: one folder for each provider, its client in the provider's words and its gateway in ours."""
