"""What is kept on disk, as a person asks for it: pages, exact selections, records that nobody could read."""
