"""Garbage is looked for between blocks."""

from __future__ import annotations

import gc

from node.collector import collection_paused


def test_a_pause_ends_with_the_last_that_needs_it() -> None:
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_pause_ends_with_an_error_too() -> None:
    try:
        with collection_paused():
            raise ValueError
    except ValueError:
        assert gc.isenabled()


def test_what_a_block_leaves_in_circles_is_found_at_its_end() -> None:
    class Circle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            gone.append(1)

    gone: list[int] = []
    with collection_paused():
        Circle()
        assert not gone
    assert gone
