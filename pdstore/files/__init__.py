"""The files of a store, in a local folder or at any other fsspec URL."""

from pdstore.files.root import Files

__all__ = ["Files"]
