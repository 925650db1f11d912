"""Reports on a node to W&B and TensorBoard: one worker of all that compute the node, from what all have committed.

W&B cannot have two writers of one run. So the worker that holds the lease of the reporter reports, and what it reports
is read from the store: pictures and counts are the same whoever computed the units. A worker that does not report has
nothing to keep. If the reporter dies, its lease expires and another worker goes on under the same id.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pdstore import Layer, layout
from pdstore.errors import PdError
from pdstore.lease import Claim, claim
from schemas.tracking import PicturedSettings, TrackedSettings
from stages.plan.project import Project
from stages.run import unit_report
from stages.run.counts import Counts
from stages.track.masked_picture import Names
from stages.track.tracker import RunName, Trackers, open_trackers
from stages.track.wandb_id import recorded_group, stored_id
from stages.unit import Unit

__all__ = ["REPORT_S", "Reporter"]

REPORT_S = 10.0
"""Shortest time between two reports, and between two tries to become the reporter."""


class Reporter:
    """What a worker does for the reports on one node. No fault of a report ends the run.

    Args:
        unit: number -> the unit with its inputs, to read images from.
        note: prints a line.
        report_s: see :data:`REPORT_S`.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        unit: Callable[[int], Unit],
        note: Callable[[str], None] = lambda text: None,
        report_s: float = REPORT_S,
    ) -> None:
        self._project, self._name, self._unit, self._note, self._report_s = project, name, unit, note, report_s
        self._layer = project.layer(name)
        self._before = self._layer.units()
        self._reports: _Reports | None = None
        self._tried = float("-inf")
        self._is_broken = False

    @classmethod
    def of(
        cls, project: Project, name: str, unit: Callable[[int], Unit], note: Callable[[str], None]
    ) -> Reporter | None:
        """The reporter of a node; None if its settings ask for no reports. A training reports by itself."""
        node = project[name]
        is_asked = isinstance(node.settings, TrackedSettings) and node.settings.is_tracked
        return cls(project, name, unit, note) if is_asked and not node.stage.is_training else None

    def begin(self) -> None:
        """Report from now on, unless another worker does."""
        self._guarded(self._hold)

    def committed(self) -> None:
        """After a commit of this worker: report if it is time."""
        if time.monotonic() - self._tried >= self._report_s:
            self._guarded(self._report)

    def finish(self) -> None:
        """Report for the last time, unless another worker reports; then that one reports what this one committed."""
        self._guarded(self._finish)

    def _hold(self) -> bool:
        """Become the reporter, if there is none. True if this worker is it."""
        self._tried = time.monotonic()
        if self._reports is None:
            held = claim(self._layer.store.files, self._name, layout.reporter(self._layer.fingerprint), 0)
            if held is None:
                return False
            held.start()
            try:
                self._reports = _Reports(self._project, self._name, held, self._before, self._note)
            except BaseException:
                held.release()
                raise
        return True

    def _report(self) -> None:
        if self._hold():
            assert self._reports is not None
            self._reports.send(self._unit)

    def _finish(self) -> None:
        while self._hold():
            assert self._reports is not None
            self._reports.send(self._unit)
            seen = self._reports.seen
            self._close()
            # A worker that could not become the reporter in the meantime relies on us for its last units.
            if set(self._layer.units()) <= seen:
                return

    def _close(self) -> None:
        reports, self._reports = self._reports, None
        if reports is not None:
            reports.close()

    def _guarded(self, act: Callable[[], object]) -> None:
        if self._is_broken:
            return
        try:
            act()
        except Exception as error:  # a report is no reason to lose the node's work
            self._is_broken = True
            what = str(error) if isinstance(error, PdError) else f"{type(error).__name__}: {error}"
            self._note(f"{self._name}: no more reports from this worker, because one failed: {what}")
            try:
                self._close()
            except Exception as again:
                self._note(f"{self._name}: {again}")


class _Reports:
    """The reports of the worker that holds the lease."""

    def __init__(
        self, project: Project, name: str, held: Claim, before: list[int], note: Callable[[str], None]
    ) -> None:
        self._project, self._held, self._node = project, held, project[name]
        self._layer, self._files = project.layer(name), project.store.files
        self._class_names = {c.class_id: c.name for c in project.listing.classes()}
        self._path = layout.tracking_state(name, self._layer.fingerprint)
        # Units that were committed before anybody reported are counted, but not shown.
        self._shown, self._names = set(before), dict[str, Names]()
        if self._files.exists(self._path):
            state = json.loads(self._files.read(self._path))
            self._shown = set(state["shown"])
            self._names = {node: Names(known) for node, known in state["names"].items()}
        self._save()
        self._counts = Counts(project, name)
        self._counts.update()
        self._folder = _local_folder(project, self._layer)
        self._trackers = self._open(note)

    @property
    def seen(self) -> set[int]:
        """The units that were reported."""
        return set(self._counts.units)

    def send(self, unit: Callable[[int], Unit]) -> None:
        """Report all that was committed since the last call."""
        self._counts.update()
        pending = sorted(self._counts.units.keys() - self._shown)
        step = self._counts.step - sum(self._counts.size(number) for number in pending)
        for number in pending:
            self._show(unit(number), step)
            step += self._counts.size(number)
            self._shown.add(number)
        self._trackers.numbers(self._counts.step, self._counts.numbers())
        if pending:
            self._save()

    def close(self) -> None:
        """Close what was opened, then let another worker report."""
        try:
            self._trackers.close()
            self._upload()
        finally:
            self._held.release()

    def _show(self, unit: Unit, step: int) -> None:
        settings, table = self._node.settings, self._layer.table.name
        after = step + self._counts.size(unit.number)
        if isinstance(settings, PicturedSettings):
            if settings.picture_every:
                shown = unit_report.pictures(unit, self._layer, settings.picture_every, self._class_names)
                for position, picture in shown:
                    self._trackers.picture(step + position + 1, picture)
        elif table == "metrics":
            rows = self._layer.read(unit.number)
            self._trackers.numbers(after, unit_report.scores(rows))
            self._trackers.table(after, "eval/classes", unit_report.score_table(rows))
        elif table == "clusters":
            rows = self._layer.read(unit.number)
            self._trackers.numbers(after, unit_report.cluster_numbers(rows))
            self._trackers.sizes(after, "clusters/size", rows["size"].tolist())
            self._trackers.table(after, "clusters/table", unit_report.cluster_table(rows, self._class_names))
            self._trackers.drawing(after, "clusters/shares", unit_report.cluster_drawing(rows, self._class_names))

    def _open(self, note: Callable[[str], None]) -> Trackers:
        settings, node = self._node.settings, self._node
        assert isinstance(settings, TrackedSettings)
        run = RunName(node.name, "")
        if settings.wandb:
            run = RunName(
                node.name,
                stored_id(self._files, node.name, node.fingerprint),
                recorded_group(self._files),
                node.stage.name,
                {**settings.model_dump(mode="json"), "layer": node.fingerprint},
            )
        return open_trackers(settings, self._folder, self._folder / "tensorboard", run, self._names, note)

    def _save(self) -> None:
        names = {node: names.known() for node, names in self._names.items()}
        self._files.write(self._path, json.dumps({"shown": sorted(self._shown), "names": names}).encode())

    def _upload(self) -> None:
        """Copy the event files into a store that is not local; until now they were on this machine alone."""
        if not self._files.is_local:
            for path in sorted((self._folder / "tensorboard").glob("*")):
                target = f"{layout.tracking(self._layer.node, self._layer.fingerprint)}/tensorboard/{path.name}"
                self._files.write(target, path.read_bytes())


def _local_folder(project: Project, layer: Layer) -> Path:
    """Where W&B and TensorBoard write: in the store if it is local, otherwise on this machine."""
    files, path = project.store.files, layout.tracking(layer.node, layer.fingerprint)
    if files.is_local:
        return files.local(path)
    name = hashlib.sha256(f"{project.store.url}/{path}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pd-tracking-{name}"
