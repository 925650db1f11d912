"""Verbs that bring labels in and out, and run a model without a store."""
