"""Who sells work: what a provider declares, what the chain counts of it, and its proof of life."""
