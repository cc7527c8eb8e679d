"""Fast ways to make attempts; each gives bit for bit the tickets and products of compute.spec."""
