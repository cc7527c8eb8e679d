"""One file per family of transaction kinds."""
