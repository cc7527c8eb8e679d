"""Catching up over several replies."""

from __future__ import annotations

import node.sync
from tests.node_world import four_nodes, world


async def test_a_fork_longer_than_one_reply_heals(tmp_path, autojump_clock, monkeypatch):
    """The first headers of a heavier branch weigh less than ours: a node has to ask on from where the reply ended."""
    monkeypatch.setattr(node.sync, "MAX_HEADERS", 4)
    async with world(tmp_path) as net:
        await four_nodes(net)
        net.hub.partition(("node-0", "node-2"), ("node-1", "node-3"))
        await net.until(lambda: all(each.chain.head.height >= 12 for each in net.nodes.values()))
        net.hub.heal()
        await net.hub.connect_all()
        await net.agreed()
