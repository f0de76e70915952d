"""What gateways say they captured, against payments and ledger: found where they differ, followed to the end."""
