"""Value coming in: vouchers now, payments through gateways later."""
