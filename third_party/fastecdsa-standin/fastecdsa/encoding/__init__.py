"""Encodings: none."""
