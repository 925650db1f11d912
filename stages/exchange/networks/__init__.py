"""Trained models outside a store: exported for other programs, and run on any pictures."""
