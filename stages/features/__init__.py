"""Where grouping's features come from: a module a backend, each with ``start(settings, setup) -> Features``."""
