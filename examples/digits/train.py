"""Train the digits classifier and write one layer as integer matrices: python examples/digits/train.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path

from layer import save, train


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: train.py OUT   (a directory for A.npy, B.npy and classifier.npz)")
    directory = Path(sys.argv[1])
    classifier = train()
    save(classifier, directory)
    a, b = classifier.quantised()
    print(
        f"float classifier: {classifier.accuracy(classifier.float_sums()):.2%} of {len(classifier.unseen)} unseen "
        f"images; A {a.shape[0]}x{a.shape[1]} and B {b.shape[0]}x{b.shape[1]} in {directory}"
    )


if __name__ == "__main__":
    main()
