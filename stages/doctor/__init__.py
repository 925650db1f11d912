"""What ``pd doctor`` checks: the machine, the storage, the images, the networks, and a rehearsal of the nodes."""
