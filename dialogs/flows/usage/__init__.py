"""What a line used, why balances went down, how long they last, and the limits that people set."""
