"""A collector's folder followed as one stream while segments grow, are compressed and deleted."""
