"""Models (being written)."""
