"""The lines of several files as one stream, by their times, each message once."""
