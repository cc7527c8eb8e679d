"""The work specification: plain NumPy, obvious, the authority for every engine.  Spec: docs/spec/work.md."""
