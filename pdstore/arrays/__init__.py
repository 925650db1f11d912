"""Arrays in files, as Zarr stores them: chunks, and ranges of files that hold some rows."""
