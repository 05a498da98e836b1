"""The second client, for proxies, OAuth2 tokens and `delivery.client: aiohttp`. Slow to import."""
