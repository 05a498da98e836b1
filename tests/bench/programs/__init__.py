"""Programs that a bench runs beside what it measures."""
