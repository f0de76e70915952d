"""What outside systems are told of: one log of events, written in the commits that they tell of."""
