"""Useful proof of work: the specification, the backends that carry it out fast, and the worker process."""
