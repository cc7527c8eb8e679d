"""Which blocks are valid and which chain is ours: pure functions of blocks, state and the spec."""
