"""What the network uses: sessions and their quotas, tariffs, caps, alerts, and where a balance went."""
