"""Devices without a browser: SSH to a server's command line, the TLS probe, ISE's API, and parsers of what they say."""
