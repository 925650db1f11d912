"""What keeps a GPU busy: recorded kernels, streams beside that of a network, and the passes of a network."""
