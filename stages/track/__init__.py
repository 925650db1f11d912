"""Where the numbers and pictures of a running node go besides the store: Weights & Biases and TensorBoard."""
