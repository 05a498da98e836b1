"""Webhooks of third parties: verified by signature, kept as received.

hooks     ``POST /hooks/NAME``
verify    the signatures of Stripe, GitHub, Shopify and Standard Webhooks
"""
