"""Package metadata.  Tool configuration lives in pyproject.toml, exact versions in requirements.lock."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).resolve().parent / "README.md"

# The whole program. The names are generic, so the list is closed: tests/ and examples/ stay out.
PACKAGES = ("node", "chain", "consensus", "vm", "p2p", "compute", "genesis")

# Exact where another release could change what is valid or break a work-around; the lock pins the rest.
REQUIREMENTS = [
    "blake3==1.0.11",  # tensor commitments
    "click>=8.5,<9",
    "httpx>=0.28,<1",
    "hypercorn>=0.18,<1",
    "libp2p==0.8.1",  # p2p/ works around bugs of exactly this release
    "msgpack==1.2.4",  # canonical encoding
    "numpy==2.4.6",
    "plyvel==1.5.1",  # last release; bundles LevelDB; wheels for Python 3.11 and 3.12 only
    "pynacl==1.6.2",  # its libsodium decides which signatures are valid
    "trio>=0.35,<1",
]

EXTRAS = {
    "gpu-cuda12": ["cupy-cuda12x==14.2.0"],
    "gpu-cuda13": ["cupy-cuda13x==14.2.0"],
    # Compiles the fastest CPU engine at run time, from wheels; other releases may change what its loops rely on.
    "fast": ["numba==0.68.1", "llvmlite==0.50.0"],
    "demo": ["scikit-learn>=1.9,<2"],  # the digits data set and its small classifier
    "dev": [
        "hypothesis>=6.170,<7",
        "import-linter>=2.16,<3",
        "mypy>=2.4,<3",
        "pytest>=9.2,<10",
        "pytest-trio>=0.8,<1",
        "pytest-xdist>=3.8,<4",
        "ruff>=0.17,<0.18",
        "setuptools>=80",  # test_packaging reads the metadata and builds a wheel
        "wheel>=0.45",
    ],
}

setup(
    name="tilework",
    version="0.1.0",
    description="A blockchain node whose proof of work is integer matrix products that somebody asked for",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    author="The Tilework authors",
    keywords=["blockchain", "proof-of-useful-work", "matrix multiplication", "libp2p"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
    # plyvel has wheels for 3.11 and 3.12 only. On a newer Python it has to be compiled: that needs a C++
    # compiler, that Python's headers, those of LevelDB (libleveldb-dev) and pip's --ignore-requires-python.
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=[pattern for name in PACKAGES for pattern in (name, f"{name}.*")]),
    package_data={"compute": ["engines/cuda/*.cu"], "genesis": ["data/*.json"]},
    include_package_data=False,
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tilework = node.cli.main:main"]},
    zip_safe=False,
)
