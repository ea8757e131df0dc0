"""What scanners read off labels, for station programs; the rules are the contract's own."""

from mes.formats.messages.labels import read_label, strip_prefix

__all__ = ["read_label", "strip_prefix"]
