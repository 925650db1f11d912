"""The pages on which people work: clusters of a class, comparisons, a map of features, judgements, and the pipeline."""
