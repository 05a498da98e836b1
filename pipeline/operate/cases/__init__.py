"""Tests of webhooks as a person keeps them: found beside a file, written from what was seen or tried."""
