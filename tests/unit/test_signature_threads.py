"""Signatures of a block: on how many threads they are checked changes nothing, and what the pool holds is not checked
again."""

from __future__ import annotations

import pytest

from chain.errors import Invalid
from node.checks import check_block
from node.signatures import CHUNK, check_authorisations
from tests.mining import SPEC, Node, transfer
from vm.execute import Parsed, decode


def _forged(data: bytes) -> Parsed:
    """The transaction with its last signature byte changed."""
    return decode(data[:-1] + bytes([data[-1] ^ 1]), SPEC.chain_id)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bad", [0, CHUNK - 1, CHUNK, 3 * CHUNK])
def test_one_forged_signature_among_many_is_found(threads: int, bad: int) -> None:
    good = decode(transfer(1, 0, 5_000), SPEC.chain_id)
    many = [good] * (3 * CHUNK + 1)
    check_authorisations(many, threads)
    many[bad] = _forged(transfer(1, 0, 5_000))
    with pytest.raises(Invalid, match="BAD_AUTH"):
        check_authorisations(many, threads)


def test_only_the_very_bytes_that_wait_in_the_pool_are_known() -> None:
    node = Node(SPEC)
    data = transfer(1, 0, 5_000)
    node.mempool.add(data)
    forged = data[:-1] + bytes([data[-1] ^ 1])
    assert list(node.mempool.known([data, forged])) == [data]
    node.mine()
    assert not node.mempool.known([data])


def test_what_is_known_is_taken_as_it_is_and_the_rest_is_checked() -> None:
    node = Node(SPEC)
    data = transfer(1, 0, 5_000)
    node.mempool.add(data)
    block = node.next_block()
    parent, genesis = node.chain.head, node.chain.genesis
    mark = _forged(data)
    checked = check_block(block, parent, genesis, SPEC, {data: mark})
    assert checked.parsed == (mark,)
    checked = check_block(block, parent, genesis, SPEC, {b"another": mark})
    assert checked.parsed == (decode(data, SPEC.chain_id),)
