"""Members kept in a folder of recorded lines, each synced before its request is answered."""
