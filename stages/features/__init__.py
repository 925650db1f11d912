"""Features for grouping: one module per backend, each with ``start(settings, setup) -> Features``."""
