"""A local network of several node processes on loopback: plan, start, show, stop."""
