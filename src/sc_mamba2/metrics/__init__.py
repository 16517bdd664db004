"""Metrics, a family a file, by well-kept libraries. No torch here."""
