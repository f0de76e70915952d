"""Value coming in: vouchers, and the payment gateways through which money does."""
