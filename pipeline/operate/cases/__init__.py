"""The tests of webhooks as files: found beside a webhook, written from what was seen or tried."""
