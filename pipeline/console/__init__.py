"""Web pages over `operate`: what a person sees and does to webhooks in a browser."""
