"""The network address of a client, through trusted proxies alone: what launches are counted by."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import Request

SHARED_BITS = 64  # of an IPv6 address, the part that one customer cannot choose


def client_address(request: Request, trusted_proxies: Iterable[str]) -> str:
    """The address of the connection, or what its trusted proxy says: an IPv4 address, or the /64 of an IPv6 address.

    Of X-Forwarded-For, the last entry that is no trusted proxy's counts; anybody may have written those before it.
    """
    networks = [ip_network(proxy) for proxy in trusted_proxies]
    address = _address(request.remote_addr or "")
    for entry in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        further = _address(entry)
        if address is None or further is None or not any(address in network for network in networks):
            break
        address = further
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SHARED_BITS), strict=False))
    return str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, without the port that some proxies add; None for anything else."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
