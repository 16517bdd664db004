"""Metrics, one family per file, based on established libraries. Without torch."""
