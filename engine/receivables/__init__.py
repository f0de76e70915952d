"""What customers and gateways owe: the receivables ledger, and bills of postpaid accounts."""
