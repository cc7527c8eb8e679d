"""Who may speak for an account, and within which limits."""
