"""Addresses: where to listen and whom to dial.  Pure parsing; names are resolved only when dialling.

listen   127.0.0.1:4001          port 0 lets the system choose
dial     /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…     (ip4, ip6 or dns4)
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from chain.errors import Policy
from p2p.interface import PeerId

_DIAL_FORM = "/ip4/HOST/tcp/PORT/p2p/PEER_ID"
_HOST_KINDS = ("ip4", "ip6", "dns4")


@dataclass(frozen=True, slots=True)
class ListenOn:
    """Host (an IP address) and port to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenOn:
        """Read `host:port` (`[v6]:port` for IPv6).

        Raises:
            Policy: NET_LISTEN_ADDRESS.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not _is_ip(host) or not _is_port(port, lowest=0):
            raise Policy("NET_LISTEN_ADDRESS", found=text, allowed="IP:PORT", hint="Try 127.0.0.1:4001.")
        return cls(host, int(port))

    def multiaddr(self) -> str:
        """The same place as a multiaddr."""
        return f"/{_ip_kind(self.host)}/{self.host}/tcp/{self.port}"


@dataclass(frozen=True, slots=True)
class DialAddress:
    """A peer and one place where it listens."""

    host_kind: str
    host: str
    port: int
    peer_id: PeerId

    @classmethod
    def parse(cls, text: str) -> DialAddress:
        """Read a multiaddr that ends in a peer id.

        Raises:
            Policy: NET_ADDRESS.
        """
        parts = text.split("/")
        well_formed = (
            len(parts) == 7
            and (parts[0], parts[3], parts[5]) == ("", "tcp", "p2p")
            and parts[1] in _HOST_KINDS
            and (_is_ip(parts[2]) if parts[1] != "dns4" else parts[2] != "")
            and _is_port(parts[4], lowest=1)
            and parts[6].isalnum()
        )
        if not well_formed:
            raise Policy(
                "NET_ADDRESS", found=text, allowed=_DIAL_FORM, hint="A node prints its address at start."
            )
        return cls(parts[1], parts[2], int(parts[4]), PeerId(parts[6]))

    def __str__(self) -> str:
        return f"/{self.host_kind}/{self.host}/tcp/{self.port}/p2p/{self.peer_id}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ip_kind(host: str) -> str:
    return "ip6" if ipaddress.ip_address(host).version == 6 else "ip4"


def _is_port(text: str, lowest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and lowest <= int(text) <= 65535
