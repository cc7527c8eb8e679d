"""Peer to peer: bytes in, bytes out.

The package knows topics, requests, peers, sizes, rates and penalties, and nothing about blocks or
transactions: validators and handlers are injected by the node.  `p2p.interface` is what the node depends
on; `p2p.memory` and `p2p.host` implement it.  Only `p2p.host` and its neighbours import libp2p, so
everything else starts fast.
"""
