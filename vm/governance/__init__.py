"""How the rules change: proposals, two houses that vote on them, and what a passed one does."""
