"""Money from outside: payments, their recovery points, and the settlement that makes them real in all books."""
