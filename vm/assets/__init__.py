"""What is published, who owns and sells it, and who may use it."""
