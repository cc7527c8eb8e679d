"""Programs, trees of rows, and fraud proofs judged by multiplying.  Spec: [JOB-BOUNDS], [HASH-TENSOR], [JOB-FRAUD]."""

from __future__ import annotations

from typing import Any

from chain.hashing import BulkTag, b3, b3_keyed
from tests.model.forms import require

INT8, INT32 = 1, 2
ELEMENT, MALFORMED = 1, 2


def shape_of(program: list[Any]) -> tuple[int, int, int]:
    """(m, n, k) of the one product.  Raises: Refused PROGRAM_*."""
    inputs, steps = program
    require(len(steps) == 1, "PROGRAM_STEPS")
    require(len(inputs) == 2 and steps[0][1] == [0, 1], "PROGRAM_WIRING")
    require(all(dtype == INT8 for _, _, dtype in inputs), "PROGRAM_DTYPE")
    (m, k, _), (n, other_k, _) = inputs
    require(k == other_k, "PROGRAM_SHAPE")
    require(m <= 65_536 and n <= 16_384 and k <= 16_384 and m * n <= 1 << 26, "PROGRAM_SIZE")
    return m, n, k


def judge(proof: list[Any], trace_key: bytes) -> None:
    """Return if the proof shows a fault.  Raises: Refused PROGRAM_*, CHALLENGE_FORM, PATH, NOT_WRONG."""
    _, program, roots, _, result_root, fault, tensor, column, openings = proof
    m, n, _ = shape_of(program)
    require(len(roots) == 2, "CHALLENGE_FORM")
    tensors = [
        (program[0][0], roots[0], b""),
        (program[0][1], roots[1], b""),
        ([m, n, INT32], result_root, trace_key),
    ]
    if fault == MALFORMED:
        require(len(openings) == 1 and tensor <= 2 and column == 0, "CHALLENGE_FORM")
        require(opens(*tensors[tensor], openings[0]), "PATH")
        require(not well_formed(tensors[tensor][0], openings[0][1]), "NOT_WRONG")
        return
    require(len(openings) == 3 and tensor == 2 and column < n, "CHALLENGE_FORM")
    left, right, result = openings
    require(left[0] == result[0] and right[0] == column, "CHALLENGE_FORM")
    for (info, root, secret), shown in zip(tensors, openings, strict=True):
        require(len(shown[1]) == row_bytes(info) and opens(info, root, secret, shown), "PATH")
    exact = sum(_signed(a) * _signed(b) for a, b in zip(left[1], right[1], strict=True))
    claimed = int.from_bytes(result[1][4 * column :][:4], "little", signed=True)
    require(claimed != exact, "NOT_WRONG")


def opens(info: list[int], root: bytes, secret: bytes, opening: list[Any]) -> bool:
    """Whether the leaf stands at its row under the root, with exactly the siblings there are."""
    row, leaf, path = opening
    rows, columns, dtype = info
    if row >= rows:
        return False
    tags = (BulkTag.TENSOR_LEAF, BulkTag.TENSOR_NODE, BulkTag.TENSOR_ROOT)
    leaf_key, node_key, root_key = (b3(tag, secret) for tag in tags)
    node, siblings = b3_keyed(leaf_key, leaf), list(path)
    while rows > 1:
        alone = row == rows - 1 and rows % 2 == 1
        if not alone:
            if not siblings:
                return False
            sibling = siblings.pop(0)
            node = b3_keyed(node_key, sibling + node if row % 2 else node + sibling)
        row, rows = row // 2, (rows + 1) // 2
    head = info[0].to_bytes(8, "big") + columns.to_bytes(8, "big") + bytes([dtype])
    return not siblings and b3_keyed(root_key, head + node) == root


def well_formed(info: list[int], leaf: bytes) -> bool:
    if len(leaf) != row_bytes(info):
        return False
    return info[2] == INT32 or all(-63 <= _signed(byte) <= 63 for byte in leaf)


def row_bytes(info: list[int]) -> int:
    return info[1] * (1 if info[2] == INT8 else 4)


def _signed(byte: int) -> int:
    return byte - 256 if byte >= 128 else byte
