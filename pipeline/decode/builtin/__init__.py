"""The shapes that Hookline knows by itself: one module each, and what several of them share."""
