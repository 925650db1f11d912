"""Every format that ``pd import`` reads, by its name. Its code is imported only when it is used.

An import adds a node to the pipeline, whose stage reads the file; nothing is computed before that node is run. So what
came from elsewhere is resumed, verified and traced as everything else.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.plan.project import Project

__all__ = ["IMPORTS", "Import", "ImportRequest"]


@dataclass(frozen=True)
class ImportRequest:
    """What to import.

    Attributes:
        path: file or folder.
        name: of the new node; empty if the format names its nodes itself.
        of: the node whose rows people corrected; empty if they drew anew.
        readers: nodes that read ``of`` and shall read the new node in its place.
    """

    path: Path
    name: str = ""
    of: str = ""
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Import:
    """A format.

    Attributes:
        doc: what it is, for the help text.
        entry: module with ``add(project: Project, request: ImportRequest) -> Project``, which records nothing.
    """

    doc: str
    entry: str

    def add(self, project: Project, request: ImportRequest) -> Project:
        """The project with the nodes that read what is imported. Raises UsageError, InputMissing or CorruptData."""
        added: Project = importlib.import_module(self.entry).add(project, request)
        return added


IMPORTS: Mapping[str, Import] = {
    "coco": Import(doc="COCO instances, as people drew or corrected them", entry="stages.exchange.coco_import"),
}
