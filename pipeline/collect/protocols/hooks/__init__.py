"""Webhooks of third parties: verified by their signature, kept as they came.

hooks     ``POST /hooks/NAME``
verify    the signatures of Stripe, GitHub, Shopify and Standard Webhooks
"""
