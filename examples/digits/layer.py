"""One layer of the digits classifier as integers, and the same layer as floats to compare with.

The hidden layer is relu(x @ W + b) with x in [0, 1]. As integers: A = round(63 x), and column j of B is
round(63 W[:, j] / max|W[:, j]|), both in [-63, 63]. The network computes C = A @ B exactly; what is left is a scale per
column: x @ W is about C * scale, with scale[j] = max|W[:, j]| / 63^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

LARGEST = 63
"""The network multiplies integers in [-63, 63]; the other half of an int8 belongs to the noise of the lottery."""
BRIGHTEST_PIXEL = 16
HIDDEN = 64


@dataclass(frozen=True, slots=True)
class Classifier:
    """64 pixels -> HIDDEN -> 10 digits, in floats, with the images that it was not trained on."""

    pixels: np.ndarray  # float64[1797, 64] in [0, 1]
    digits: np.ndarray  # int64[1797]
    unseen: np.ndarray  # int64[540]: image numbers
    hidden_weights: np.ndarray  # float64[64, HIDDEN]
    hidden_bias: np.ndarray
    output_weights: np.ndarray  # float64[HIDDEN, 10]
    output_bias: np.ndarray

    def accuracy(self, hidden_sums: np.ndarray) -> float:
        """Share of unseen images named right, given x @ W for every image, whoever computed it."""
        hidden = np.maximum(hidden_sums + self.hidden_bias, 0)
        guesses = (hidden @ self.output_weights + self.output_bias).argmax(axis=1)
        return float((guesses == self.digits)[self.unseen].mean())

    def float_sums(self) -> np.ndarray:
        return self.pixels @ self.hidden_weights

    def scale(self) -> np.ndarray:
        """float64[HIDDEN]: what one unit of C is worth in each column."""
        return np.abs(self.hidden_weights).max(axis=0) / LARGEST**2

    def quantised(self) -> tuple[np.ndarray, np.ndarray]:
        """A int8[1797, 64] and B int8[64, HIDDEN]."""
        a = np.rint(self.pixels * LARGEST)
        b = np.rint(self.hidden_weights / (self.scale() * LARGEST))
        return a.astype(np.int8), b.astype(np.int8)


def train() -> Classifier:
    """Train on 70 % of scikit-learn's 1,797 images of handwritten digits; the same every time."""
    data = load_digits()
    pixels = data.data / BRIGHTEST_PIXEL
    seen, unseen = train_test_split(
        np.arange(len(pixels)), test_size=0.3, random_state=0, stratify=data.target
    )
    model = MLPClassifier((HIDDEN,), learning_rate_init=0.01, max_iter=300, random_state=0)
    model.fit(pixels[seen], data.target[seen])
    return Classifier(
        pixels=pixels,
        digits=data.target,
        unseen=unseen,
        hidden_weights=model.coefs_[0],
        hidden_bias=model.intercepts_[0],
        output_weights=model.coefs_[1],
        output_bias=model.intercepts_[1],
    )


def save(classifier: Classifier, directory: Path) -> None:
    """A.npy and B.npy for the network, classifier.npz for the evaluation."""
    directory.mkdir(parents=True, exist_ok=True)
    a, b = classifier.quantised()
    np.save(directory / "A.npy", a)
    np.save(directory / "B.npy", b)
    fields = {name: getattr(classifier, name) for name in Classifier.__slots__}
    np.savez(directory / "classifier.npz", **fields)


def load(directory: Path) -> Classifier:
    with np.load(directory / "classifier.npz") as fields:
        return Classifier(**fields)
