"""Metadata of the stand-in; see README.md."""

from __future__ import annotations

from setuptools import setup

setup(
    name="fastecdsa",
    version="2.3.2",
    description="Stand-in that satisfies py-libp2p's import of fastecdsa and raises on every use",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["fastecdsa", "fastecdsa.encoding"],
    zip_safe=False,
)
