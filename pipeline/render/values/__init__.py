"""How values print, compare and count in templates."""
