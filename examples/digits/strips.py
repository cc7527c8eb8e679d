"""A larger product from the same images, 2048 x 2048 x 2048: python examples/digits/strips.py OUT.

A strip is 32 images in a row, 32 * 64 = 2048 pixels. A holds the strips that start at image 0, 1, 2, ...; B, one strip
per column, those that start half-way through the set, with grey as zero. The product says how much each strip of the
one resembles each of the other: 17 billion operations, and every entry comes from a real image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

IMAGES_PER_STRIP = 32
STRIPS = 2048


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: strips.py OUT   (a directory for strips-A.npy and strips-B.npy)")
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    pixels = load_digits().data
    a = strips(np.rint(pixels * 63 / 16), first=0)
    b = strips(np.rint((pixels - 8) * 63 / 8), first=len(pixels) // 2)
    np.save(directory / "strips-A.npy", a)
    np.save(directory / "strips-B.npy", np.ascontiguousarray(b.T))
    print(f"A {a.shape[0]}x{a.shape[1]} and B {b.shape[1]}x{b.shape[0]} in {directory}")


def strips(images: np.ndarray, first: int) -> np.ndarray:
    """int8[STRIPS, IMAGES_PER_STRIP * 64]: row i is the strip that starts at image first + i, round and round."""
    starts = first + np.arange(STRIPS)[:, None]
    members = (starts + np.arange(IMAGES_PER_STRIP)[None, :]) % len(images)
    return images[members].reshape(STRIPS, -1).astype(np.int8)


if __name__ == "__main__":
    main()
