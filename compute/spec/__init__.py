"""The work specification: plain NumPy, obvious, the authority for every backend.  Spec: docs/spec/work.md."""
