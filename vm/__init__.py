"""Native transactions: one closed table of kinds, each a pure function over the state."""
