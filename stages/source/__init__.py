"""Readers for everything that comes from outside: image files, listings, text files and JSON records."""
