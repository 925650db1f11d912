"""Event files that TensorBoard shows, written with its own package: no torch, no TensorFlow."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from stages.track.masked_picture import MaskedPicture, drawn
from stages.track.tracker import Table

__all__ = ["EventFiles"]

BINS = 30


class EventFiles:
    """A new event file in ``folder``. The files of one folder are one run in TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self._writer = EventFileWriter(str(folder))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._write(step, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def picture(self, step: int, picture: MaskedPicture) -> None:
        """A sheet: the image and the overlay of each group. TensorBoard knows no masks."""
        self.drawing(step, "pictures", drawn(picture))

    def drawing(self, step: int, name: str, drawing: Image.Image) -> None:
        sink = io.BytesIO()
        drawing.convert("RGB").save(sink, "PNG")
        width, height = drawing.size
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=sink.getvalue())
        self._write(step, [Summary.Value(tag=name, image=image)])

    def sizes(self, step: int, name: str, sizes: Sequence[int]) -> None:
        values = np.asarray(sizes, np.float64)
        if len(values):
            counts, edges = np.histogram(values, BINS)
            histogram = HistogramProto(
                min=values.min(),
                max=values.max(),
                num=len(values),
                sum=values.sum(),
                sum_squares=(values**2).sum(),
                bucket_limit=edges[1:].tolist(),
                bucket=counts.tolist(),
            )
            self._write(step, [Summary.Value(tag=name, histo=histogram)])

    def table(self, step: int, name: str, table: Table) -> None:
        """TensorBoard shows no tables: they are left out."""

    def restart(self, step: int) -> None:
        """TensorBoard drops what older files have of this step and later ones."""
        self._event(step, session_log=SessionLog(status=SessionLog.START))

    def close(self) -> None:
        self._writer.close()

    def _write(self, step: int, values: list[Any]) -> None:
        self._event(step, summary=Summary(value=values))
        self._writer.flush()

    def _event(self, step: int, **content: Any) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))
