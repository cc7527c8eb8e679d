"""A network's state at one block as files: written by one node, checked by anybody, begun with by another."""
