"""Ground truth as its authors publish it: one module per format, and the data sets that have a name."""
