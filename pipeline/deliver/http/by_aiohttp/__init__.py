"""The second client, for proxies, OAuth2 tokens and `delivery.client: aiohttp`. It is slow to import."""
