"""What a line did before, so that a screen can offer it first. A convenience: no rule of money stands on it."""
