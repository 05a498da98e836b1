"""Registry schemas: fetched, stored on disk, awaited by readers whose records name them."""
