"""People of the operator: how they prove who they are, and what they ask for that somebody else has to approve."""
