"""Rows out of the files of committed units: of a whole unit, of single images, and a window of blocks in memory."""
