"""The promises of the collector, each broken at with the whole process as its users run it."""
