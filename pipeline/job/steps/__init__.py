"""The steps of the flow, one chunk of records at a time."""
