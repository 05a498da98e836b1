"""PostHog's SDKs.

capture     the paths that take events, in all forms that its SDKs ever sent
v1          ``/i/v1/analytics/events``, which answers for each event
plumbing    what its browser SDK asks for at its start, and what is thrown away
"""
