"""Runbooks for certificate mismatches (trust on first use) of Cisco Prime Infrastructure."""

__version__ = "0.1.0"
