"""Go on where a dialogue broke off."""
