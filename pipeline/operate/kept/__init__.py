"""What is stored on disk, for people: pages, exact selections, records that could not be read."""
