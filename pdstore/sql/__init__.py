"""What SQL can say beyond scalars: statements that are read, views with masks and vectors, functions of masks."""
