"""Networks, their published weights, and the files that store a network."""
