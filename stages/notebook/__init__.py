"""What ``pdstore.open`` gives: a store for notebooks and scripts, its rows, its masks and its pictures."""

from stages.notebook.database import Database
from stages.notebook.image_record import ImageLayer, ImageRecord
from stages.notebook.result import Result

__all__ = ["Database", "ImageLayer", "ImageRecord", "Result"]
