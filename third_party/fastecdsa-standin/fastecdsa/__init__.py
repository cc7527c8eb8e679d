"""Stand-in for fastecdsa 2.3.2: importable, and unusable on purpose.

py-libp2p imports fastecdsa for P-256 keys that Tilework never uses; the real package needs a compiler and
GMP. Every name here exists only so that those imports succeed. Whoever reaches one of them has left the paths
Tilework offers.
"""

from __future__ import annotations

from typing import NoReturn


class StandInUsed(NotImplementedError):
    """Somebody used a NIST-curve key in an environment that has only the stand-in."""


def refuse(name: str) -> NoReturn:
    raise StandInUsed(
        f"{name} was used, but this environment has Tilework's stand-in for fastecdsa, which computes "
        "nothing: Tilework uses Ed25519 keys and Noise only. P-256 keys need the real package and, to build "
        "it, gcc and the headers of GMP and Python: "
        "pip install --force-reinstall --no-deps --no-binary fastecdsa fastecdsa==2.3.2"
    )
