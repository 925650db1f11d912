"""Ground truth as its authors publish it: a module a format, and the data sets that have a name."""
