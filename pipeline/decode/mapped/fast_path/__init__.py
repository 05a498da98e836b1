"""The fast path of custom shapes: ordinary records are judged and read in one step."""
