"""The way out to addresses that a user named: what may be dialled, and how a request is made."""

from gridmill.kit.egress.addresses import AddressRules, check_url, parse_networks
from gridmill.kit.egress.client import Egress, EgressFailed, EgressReply

__all__ = ["AddressRules", "Egress", "EgressFailed", "EgressReply", "check_url", "parse_networks"]
