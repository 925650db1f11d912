"""What :mod:`pdstore.lease` is made of: who holds a lease, its file, and what has been seen of it."""
