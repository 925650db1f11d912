"""What keeps a GPU busy: recorded kernels, streams beside that of a network, the passes of a network, and memory."""
