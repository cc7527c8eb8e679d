"""The running node: everything that touches disk, network, workers, clocks and people."""
