"""Paid useful work: the job record, its money, its life cycle and the proofs that end it."""
