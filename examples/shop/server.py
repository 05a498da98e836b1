"""A server that tells what is known of a user.

pip install segment-analytics-python; python examples/shop/server.py u1 pro
"""

import os
import sys

import segment.analytics as analytics

analytics.write_key = os.environ.get("SHOP_WRITE_KEY", "wk_server")
analytics.host = "http://127.0.0.1:8080"

user, plan = sys.argv[1:3]
analytics.identify(user, {"plan": plan})
analytics.shutdown()  # waits until all of it is taken
