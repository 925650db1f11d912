"""Records in the store of the jobs that a scheduler was given: who computes a layer, and where its logs are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pdstore import layout
from stages.plan.project import Project

__all__ = ["Job", "nodes_with_jobs", "record_job", "recorded_jobs"]


@dataclass(frozen=True)
class Job:
    """A job of a scheduler.

    Attributes:
        job: the scheduler's id of it.
        nodes: the nodes of the pipeline that it computes.
        tasks: numbers of its tasks; task k computes shard k of ``shards``.
        log: path of the logs, in which ``%a`` stands for the number of the task.
        submitted: when, in ISO 8601.
    """

    job: str
    nodes: tuple[str, ...]
    tasks: tuple[int, ...]
    shards: int
    log: str
    submitted: str = ""

    @property
    def title(self) -> str:
        return " + ".join(self.nodes)

    def log_of(self, task: int) -> str:
        """The path of one task's log."""
        return self.log.replace("%a", str(task))

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def of_json(cls, data: bytes) -> Job:
        """Raises ValueError if the data are no such record."""
        try:
            values = json.loads(data)
            texts = {name: str(values[name]) for name in ("job", "log", "submitted")}
            nodes, tasks = tuple(map(str, values["nodes"])), tuple(map(int, values["tasks"]))
            return cls(nodes=nodes, tasks=tasks, shards=int(values["shards"]), **texts)
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the record of a job, found {error!r}") from None


def record_job(project: Project, job: Job) -> None:
    """Add the job to the records of each of its nodes."""
    files = project.store.files
    for name in job.nodes:
        place = name, project[name].fingerprint
        number = max((int(stem) for stem in _stems(project, name)), default=-1) + 1
        while not files.create(layout.job(*place, number), job.to_json()):
            number += 1


def nodes_with_jobs(project: Project) -> list[str]:
    """The nodes of the pipeline for which jobs were recorded at any time: one listing, whatever the number of nodes."""
    names = set(project.store.files.names(layout.JOBS))
    return [name for name in project.nodes if name in names]


def recorded_jobs(project: Project, name: str) -> list[Job]:
    """The jobs that were submitted for a node's current layer, the newest last. Records that are damaged are left out.

    They only inform: what runs is known to the scheduler, and what is done is known from the commits.
    """
    found = []
    for stem in _stems(project, name):
        try:
            path = layout.job(name, project[name].fingerprint, int(stem))
            found.append(Job.of_json(project.store.files.read(path)))
        except (FileNotFoundError, ValueError):
            continue
    return found


def _stems(project: Project, name: str) -> list[str]:
    names = project.store.files.names(layout.jobs(name, project[name].fingerprint))
    return [stem for stem in (name.removesuffix(".json") for name in names) if stem.isdecimal()]
