"""The only module that builds paths inside a store. Every path is relative to the store's root."""

from __future__ import annotations

__all__ = [
    "CATALOG",
    "CHECKED",
    "CHECKPOINTS",
    "CLASSES",
    "JOBS",
    "JUDGEMENTS",
    "LAYERS",
    "LISTINGS",
    "PIPELINE",
    "PIPELINES",
    "RECENT",
    "RECENT_BUNDLE",
    "RECENT_WHOLE",
    "SELECTIONS",
    "STORE",
    "TARS",
    "TEMPORARY",
    "UNFINISHED_CHECKPOINT",
    "UNFINISHED_LOG",
    "attempt",
    "attempt_name",
    "attempts",
    "beat",
    "checkpoints",
    "commit",
    "commits",
    "complete",
    "digest",
    "failure",
    "failures",
    "index",
    "index_file",
    "index_rows",
    "indexer",
    "is_growing",
    "job",
    "jobs",
    "judgement",
    "judgement_set_aside",
    "judgements_set_aside",
    "layer",
    "layer_info",
    "layer_set_aside",
    "layers",
    "lease",
    "leases",
    "listing",
    "parse_attempt",
    "parse_training_selection",
    "pipeline",
    "recent",
    "recent_file",
    "recent_layer",
    "reporter",
    "selection",
    "selection_inputs",
    "submitter",
    "tracking",
    "tracking_group",
    "tracking_id",
    "tracking_state",
    "training_selection",
    "withdrawals",
    "withdrawn",
]

STORE = "store.json"
PIPELINES = "pipeline"  # the states of the pipeline, one numbered record per change
PIPELINE = "pipeline.json"  # the newest of them, for readers without this program; in earlier releases the only one
CATALOG = "catalog.duckdb"
CHECKED = "catalog.checked"  # which files of rows are known to be sound: a cache, as the catalog is
LISTINGS = "listings"
RECENT = "recent"  # what readers of an object store look at
RECENT_WHOLE = f"{RECENT}/whole"
RECENT_BUNDLE = f"{RECENT}/bundle.zip"
TEMPORARY = ".tmp-"  # the name of a file begins with this until the file is whole; listings skip such names
UNFINISHED_CHECKPOINT = ".step_"  # what a checkpoint of a training is called until it is whole
UNFINISHED_LOG = ".log.jsonl."
SELECTIONS = "selections"
CLASSES = "classes.parquet"
TARS = "tars.parquet"  # where images lie in tar files
LAYERS = "layers"
CHECKPOINTS = "checkpoints"
JUDGEMENTS = "judgements"  # what people said of labels
JOBS = "jobs"  # which jobs a scheduler was given


def listing(number: int) -> str:
    """The image keys of one ingest. A listing is never changed once it is written."""
    return f"{LISTINGS}/{number:05d}.parquet"


def pipeline(number: int) -> str:
    return f"{PIPELINES}/{number:06d}.json"


def digest(path: str) -> str:
    """The record of the digest of a file that cannot carry one itself."""
    return f"{path}.digest"


def layers(node: str) -> str:
    return f"{LAYERS}/{node}"


def layer(node: str, fingerprint: str) -> str:
    return f"{LAYERS}/{node}/{fingerprint}"


def layer_info(node: str, fingerprint: str) -> str:
    return f"{layer(node, fingerprint)}/layer.json"


def layer_set_aside(node: str, fingerprint: str) -> str:
    """A damaged record of the layer, which ``pd verify --repair`` took out of the way."""
    return f"{layer(node, fingerprint)}/layer.damaged"


def complete(node: str, fingerprint: str) -> str:
    """Says that all units of the layer were committed at some time, so that the views may show it from then on."""
    return f"{layer(node, fingerprint)}/complete.json"


def attempts(node: str, fingerprint: str) -> str:
    return f"{layer(node, fingerprint)}/blocks"


def attempt(node: str, fingerprint: str, unit: int, attempt: str) -> str:
    return f"{attempts(node, fingerprint)}/{attempt_name(unit, attempt)}"


def attempt_name(unit: int, attempt: str) -> str:
    """The name of an attempt's folder."""
    return f"{unit:05d}.{attempt}"


def parse_attempt(name: str) -> tuple[int, str]:
    """``00012.ab34`` -> (12, "ab34")."""
    unit, _, attempt = name.partition(".")
    return int(unit), attempt


def commits(node: str, fingerprint: str) -> str:
    return f"{layer(node, fingerprint)}/commits"


def commit(node: str, fingerprint: str, unit: int) -> str:
    return f"{commits(node, fingerprint)}/{unit:05d}.json"


def withdrawals(node: str, fingerprint: str) -> str:
    return f"{layer(node, fingerprint)}/withdrawn"


def withdrawn(node: str, fingerprint: str, unit: int, attempt: str) -> str:
    """The manifest of a superseded or damaged commit."""
    return f"{withdrawals(node, fingerprint)}/{unit:05d}.{attempt}.json"


def index(node: str, fingerprint: str) -> str:
    """What gathers the commits of the layer. It is derived from them: deleting it loses nothing."""
    return f"{layer(node, fingerprint)}/index"


def index_file(node: str, fingerprint: str, number: int) -> str:
    """The commits of some units. A file with a higher number may hold the same units again, and more."""
    return f"{index(node, fingerprint)}/{number:05d}.arrow"


def index_rows(node: str, fingerprint: str, token: str, file: str) -> str:
    """The ``file`` (rows.parquet or errors.parquet) of all units that one index file holds, under a name of its own."""
    return f"{index(node, fingerprint)}/{token}.{file}"


def recent(node: str, fingerprint: str) -> str:
    return f"{RECENT}/{node}/{fingerprint}"


def recent_file(node: str, fingerprint: str, number: int, what: str = "") -> str:
    """What is about to happen to a unit, or the index file of this number."""
    return f"{recent(node, fingerprint)}/" + (f"{number:05d}.{what}" if what else f"index-{number:05d}.arrow")


def recent_layer(node: str, fingerprint: str) -> str:
    """The record of the layer, once more: every change of the layer is announced."""
    return f"{recent(node, fingerprint)}/layer.json"


def indexer(fingerprint: str) -> str:
    """Stands for a layer in the path of a lease: the lease of the one worker that adds to the layer's index."""
    return f"{fingerprint}.index"


def leases(node: str, fingerprint: str) -> str:
    return f"leases/{node}/{fingerprint}"


def lease(node: str, fingerprint: str, unit: int, generation: int) -> str:
    return f"{leases(node, fingerprint)}/{unit:05d}.{generation}.json"


def jobs(node: str, fingerprint: str) -> str:
    """Jobs that a scheduler was given for the layer. They only inform: deleting them loses nothing of the results."""
    return f"{JOBS}/{node}/{fingerprint}"


def job(node: str, fingerprint: str, number: int) -> str:
    return f"{jobs(node, fingerprint)}/{number:05d}.json"


def submitter(fingerprint: str) -> str:
    """Stands for a layer in the path of a lease: the lease of the one process that submits jobs for the layer."""
    return f"{fingerprint}.submitter"


def beat(node: str, fingerprint: str, unit: int, generation: int, token: str) -> str:
    """The heartbeats of one lease. Nobody else writes this file, and nobody heeds it once the lease is gone."""
    return f"{leases(node, fingerprint)}/{unit:05d}.{generation}.{token}.beat"


def failures(node: str, fingerprint: str) -> str:
    return f"failures/{node}/{fingerprint}"


def failure(node: str, fingerprint: str, unit: int) -> str:
    """The last error of a unit that could not be computed; removed once the unit is committed."""
    return f"{failures(node, fingerprint)}/{unit:05d}.json"


def selection(name: str) -> str:
    return f"{SELECTIONS}/{name}.arrow"


def selection_inputs(name: str) -> str:
    """The state of the input when the selection was frozen."""
    return f"{SELECTIONS}/{name}.json"


def training_selection(node: str, fingerprint: str, *, is_held_out: bool = False) -> str:
    """Name of the selection that a training learns from, or that it is validated on."""
    return f"checkpoints-{node}-{fingerprint}" + ("-held-out" if is_held_out else "")


def parse_training_selection(path: str) -> str:
    """The name of the selection that a training learns from, of its path without the ending; "" for any other."""
    name = path.removeprefix(f"{SELECTIONS}/")
    return name if name.startswith("checkpoints-") and not name.endswith("-held-out") else ""


def is_growing(path: str) -> bool:
    """Whether the file gets longer after its digest was written: the log of a training."""
    return path.endswith("/log.jsonl")


def checkpoints(node: str, fingerprint: str) -> str:
    return f"{CHECKPOINTS}/{node}/{fingerprint}"


def tracking(node: str, fingerprint: str) -> str:
    """What the reports of a node to W&B and TensorBoard leave in the store. No reader of the layer needs it."""
    return f"tracking/{node}/{fingerprint}"


def tracking_id(node: str, fingerprint: str) -> str:
    """The id of the node's run in W&B: written once, so that all workers continue the same run."""
    return f"{tracking(node, fingerprint)}/wandb_id"


def tracking_state(node: str, fingerprint: str) -> str:
    """What has been reported, for the worker that reports next."""
    return f"{tracking(node, fingerprint)}/reported.json"


def tracking_group() -> str:
    """The name of the store in W&B, which groups the runs of its nodes: written once."""
    return "tracking/group"


def reporter(fingerprint: str) -> str:
    """Stands for a layer in the path of a lease: the lease of the one worker that reports on the layer."""
    return f"{fingerprint}.reporter"


def judgement(number: int) -> str:
    """What a person said at once. A judgement is never changed once it is written."""
    return f"{JUDGEMENTS}/{number:06d}.json"


def judgements_set_aside() -> str:
    return f"{JUDGEMENTS}/damaged"


def judgement_set_aside(number: int, token: str) -> str:
    """A damaged record, kept so that its number is not given again."""
    return f"{judgements_set_aside()}/{number:06d}.{token}.json"
