"""Whose address a request comes from, as its trusted proxies say."""

from __future__ import annotations

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from cds_service.trust.client_address import client_address

TRUSTED = ("10.0.0.5", "192.168.0.0/16", "2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # nobody's proxy says nothing
        ("10.0.0.5", None, "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "192.0.2.1, 198.51.100.7", "198.51.100.7"),  # the client wrote the first
        ("10.0.0.5", "198.51.100.7, 192.168.3.4", "198.51.100.7"),  # two proxies
        ("10.0.0.5", "192.168.3.3, 192.168.3.4", "192.168.3.3"),
        ("10.0.0.5", "198.51.100.7, unknown", "10.0.0.5"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.5", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("2001:db8:ffff::1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", None, "203.0.113.9"),
        ("::ffff:10.0.0.5", "198.51.100.7", "198.51.100.7"),
        (None, "198.51.100.7", "None"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxys(peer: str | None, forwarded: str | None, found: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    environ = EnvironBuilder(headers=headers).get_environ() | ({"REMOTE_ADDR": peer} if peer else {})

    assert client_address(Request(environ), TRUSTED) == found
