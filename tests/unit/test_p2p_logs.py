"""No peer can fill a log."""

from __future__ import annotations

import logging

import pytest

from p2p.logs import PeerLog, silence_libp2p


def test_peer_events_are_bounded_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tilework.test")
    log = PeerLog(logging.getLogger("tilework.test"), now_ms=0)
    for number in range(1000):
        log.info(0, "event=peer_banned", peer=number)
    assert len(caplog.records) == 20
    assert caplog.records[0].getMessage() == "event=peer_banned peer=0"
    log.info(10_000, "event=peer_banned", peer="late")
    assert caplog.records[-1].getMessage() == "event=peer_banned peer=late suppressed=980"


def test_libp2p_is_silent_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    talkative = logging.getLogger("libp2p.talkative")
    talkative.setLevel(logging.DEBUG)
    silence_libp2p()
    silence_libp2p()
    caplog.set_level(logging.INFO)
    talkative.error("a peer sent something odd")
    root = logging.getLogger()
    root.handle(root.makeRecord("root", logging.WARNING, "/lib/libp2p/network/x.py", 1, "odd", (), None))
    root.warning("ours")
    assert [record.getMessage() for record in caplog.records] == ["ours"]
