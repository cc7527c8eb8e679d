"""Useful proof of work: the specification, the engines that carry it out fast, and the worker process."""
