"""What the service does with its contracts: sessions, membership, delivery, recovery."""
