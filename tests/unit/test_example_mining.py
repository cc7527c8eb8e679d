"""The example that mines with a NumPy network: exact without a node, blocks with one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rpc_node import MemoryNode, served

FILE = Path(__file__).resolve().parents[2] / "examples" / "mine_with_numpy.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("mine_with_numpy", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _the_engine_that_is_everywhere(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling another one takes longer than the example."""
    multiply = example.multiply
    monkeypatch.setattr(example, "multiply", lambda a, b, template: multiply(a, b, template, engine="numpy"))


def test_practice(example: Any) -> None:
    said: list[str] = []
    example.main(["--batches", "1"], said.append)
    assert said[0].startswith("batch 1: 96.")
    assert "4,224 tickets drawn" in said[0]
    made = int(said[1].split()[0])
    assert 0 < made <= 16
    assert said[1].endswith("certificates made and verified, 1.1 GMAC in all")


def test_for_a_node(example: Any, tmp_path: Path) -> None:
    said: list[str] = []
    node = MemoryNode(tmp_path)
    with served(node) as url:
        example.main(["--rpc", url, "--batches", "1"], said.append)
    assert said[0] == f"  win handed in: accepted {node.announced[0].id.hex()}"
    assert node.chain.head.height >= 1
