"""SMS carriers: one folder each, found by its name; beside them the contract."""
