"""The bytes of a request: credentials, signatures, headers."""
