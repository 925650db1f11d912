"""Data sets for PyTorch on a query: what ``pdstore.torch`` offers."""
