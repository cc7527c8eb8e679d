"""Compare the layer that the network computed with NumPy and with the float layer: python evaluate.py OUT C.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from layer import load


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(
            "usage: evaluate.py OUT C.npy   (the directory of train.py, and the result of the job)"
        )
    directory = Path(sys.argv[1])
    a, b, c = np.load(directory / "A.npy"), np.load(directory / "B.npy"), np.load(sys.argv[2])
    exact = np.array_equal(c, a.astype(np.int64) @ b.astype(np.int64))
    classifier = load(directory)
    original = classifier.accuracy(classifier.float_sums())
    computed = classifier.accuracy(c * classifier.scale())
    print(f"equal to NumPy's A @ B in all {c.size:,} entries: {'yes' if exact else 'NO'}")
    print(f"accuracy on {len(classifier.unseen)} unseen images: float layer {original:.2%}, ", end="")
    print(f"layer from the network {computed:.2%}")
    raise SystemExit(0 if exact else 1)


if __name__ == "__main__":
    main()
