"""Networks, their published weights, and the files in which a network is stored."""
