"""The folder of a collector, followed as one stream while its segments grow, are compressed and go."""
