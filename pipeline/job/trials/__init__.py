"""Tries a webhook outside the flow: records in, requests out, shown or sent once; nothing is stored."""
