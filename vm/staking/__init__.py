"""Staking apart from its transactions: what happens by itself."""
