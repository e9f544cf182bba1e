"""Which addresses may be dialled: pure rules.

`ipaddress.is_global` lets through what leads elsewhere (NAT64, 6to4, multicast, Teredo), so the
table is our own, after the IANA special-purpose registries.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from yarl import URL

Network: TypeAlias = IPv4Network | IPv6Network
MAX_URL_LENGTH = 2_048

_DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All of IPv6 that is routed to someone; loopback, mapped, NAT64, link-local, ULA, multicast and
# segment routing lie outside.
_GLOBAL_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
# The middle of an ISATAP interface identifier (RFC 5214), which holds an IPv4 address.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be dialled. `allow`: networks that the operator admits although they are not public."""

    allow: Sequence[Network] = ()
    allow_http: bool = False

    def admits(self, text: str) -> bool:
        """Whether the numeric address `text`, as it would be dialled, is public or allowed."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if any(address in network for network in self.allow):
            return True
        return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_V4)
    if address not in _GLOBAL_V6 or any(address in network for network in _DENIED_V6):
        return False
    return (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation; raises `ValueError`, with a sentence for the operator."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError:
            raise ValueError(
                f"{text!r} is no network in CIDR notation, such as 10.0.0.0/8"
            ) from None
    return tuple(found)


def check_url(text: str, rules: AddressRules) -> str | None:
    """What is wrong with a target's URL, as a sentence; `None` when it may be tried.

    Names are not looked up: what counts is the address at the time of dialling.
    """
    if len(text) > MAX_URL_LENGTH:
        return f"A URL has at most {MAX_URL_LENGTH} characters."
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return "A URL is written in ASCII without spaces, control characters and backslashes."
    schemes = ("https", "http") if rules.allow_http else ("https",)
    try:
        url = URL(text)
        port, host = url.explicit_port, url.host
    except ValueError:
        return "This is not a URL."
    if url.scheme not in schemes:
        return f"The URL must start with {' or '.join(f'{scheme}://' for scheme in schemes)}."
    if not host:
        return "The URL names no host."
    if url.user is not None or url.password is not None or "@" in _read_authority(text):
        return "The URL must not hold a user name or a password; use a header."
    if port is not None and not 1 <= port <= 65_535:
        return "The port must be 1 to 65535."
    return _check_host(host, rules)


def _read_authority(text: str) -> str:
    return re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]


def _check_host(host: str, rules: AddressRules) -> str | None:
    numeric = _read_numeric(host)
    name = host.rstrip(".").lower()
    if numeric is None and (name == "localhost" or name.endswith(".localhost")):
        numeric = "127.0.0.1"
    if numeric is not None and not rules.admits(numeric):
        return "The URL must lead to a public address."
    return None


def _read_numeric(host: str) -> str | None:
    """The address that a host writes in numbers, old forms such as 127.1 and 0x7f000001 included."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None
