"""A request cut into members: as raw bytes, without the key that came with them, their times mended."""
