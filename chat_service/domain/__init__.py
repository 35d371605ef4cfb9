"""The logic on top of the contracts: sessions, membership, delivery, recovery."""
