"""Before a node runs: are the settings those of the blocks that exist, is the input there, are the files there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from pdstore import Layer, Store
from pdstore.errors import InputMissing, StaleSettings, UsageError
from pdstore.files import Files
from stages.plan.changes import changes, summary
from stages.plan.pipeline import Node, Pipeline, check_files
from stages.plan.states import Inputs, newest_layer, older_layers, units_of
from stages.source.listing import Listing
from stages.unit import Output, Setup, Unit

__all__ = ["check_inputs", "check_settings", "prepare"]

EXTRAS = {"s3fs": "s3"}


def check_settings(store: Store, pipeline: Pipeline, node: Node, new_layer: bool) -> None:
    """Raises StaleSettings if the node has committed units under other settings, and none under these.

    Where it is what the node reads that has changed, the error names the nodes whose own settings did.
    """
    older = older_layers(store, node)
    if new_layer or not older or store.layer(node.name, node.fingerprint).units():
        return
    newest = newest_layer(older)
    changed = changes(store, pipeline, newest.info.identity, node)
    setting = f"pd config set {' '.join(f'{name}.KEY=VALUE' for name in changed or [node.name])}"
    fix = (
        f"Three ways on: (1) leave the settings as they were (back to them: {setting}); (2) write a second layer "
        "beside the first, which stays for comparison in SQL: add --new-layer; (3) keep only the new one: "
        f"{setting}, then pd gc --layer {newest.fingerprint} --yes, then run again"
    )
    found = f"{len(newest.units())} committed under others: {summary(changed)}"
    raise StaleSettings(f"expected units under the present settings, found {found}", node.name, fix)


def check_inputs(
    pipeline: Pipeline, node: Node, listing: Listing, inputs: Inputs, missing: list[int], allow_partial: bool
) -> tuple[list[int], list[int]]:
    """(units that can be computed, units whose input is not committed yet).

    Raises:
        InputMissing: an input has nothing at all, or a barrier's input is incomplete.
    """
    ready = set(missing)
    for name in dict.fromkeys(node.upstream()):
        source = pipeline.nodes[name]
        done, total = inputs.committed[name], units_of(source, listing)
        fix = f"Run: pd stage run {name}, or everything that is missing: pd run"
        if not done and missing:
            raise InputMissing(f"expected the output of {name}, found no committed unit", node.name, fix)
        if len(done) < total and (node.stage.is_barrier or source.stage.is_barrier):
            if missing and not allow_partial:
                lacking = sorted(set(range(total)) - done)
                shown = ", ".join(map(str, lacking[:8])) + (", …" if len(lacking) > 8 else "")
                fix += ". Or take what there is: --allow-partial"
                raise InputMissing(
                    f"expected all {total} units of {name}, found {len(lacking)} missing ({shown})", node.name, fix
                )
        elif not source.stage.is_barrier and not node.stage.is_barrier:
            ready &= done
    return sorted(ready), sorted(set(missing) - ready)


def prepare(store: Store, pipeline: Pipeline, node: Node, listing: Listing) -> tuple[Files, Callable[[Unit], Output]]:
    """The image folder, and the stage's function, ready for its first unit.

    Raises:
        UsageError: a package that the stage needs is not installed.
        InputMissing: a file that a setting names is not there.
    """
    check_files(node)
    models = {
        role: _fetch_model(store.layer(names[0], pipeline.nodes[names[0]].fingerprint))
        for role, names in node.inputs.items()
        if pipeline.nodes[names[0]].stage.writes_model
    }
    setup = Setup(classes=listing.classes(), models=models, files=node.files, device=_device(node))
    try:
        process = node.stage.load()(node.settings, setup)
    except ModuleNotFoundError as error:
        name = error.name or ""
        fix = f"pip install 'pdstore[{EXTRAS[name]}]'" if name in EXTRAS else f"pip install {name}"
        raise UsageError(f"expected the package {name}, found none", node.name, fix) from error
    return Files(str(store.info.source["root"])), process


def _fetch_model(layer: Layer) -> Path:
    """A local folder with the files of a trained network; of a local store, the attempt's own."""
    manifest = layer.manifest(0)
    if layer.store.files.is_local:
        return layer.store.files.local(manifest.folder)
    folder = Path(tempfile.mkdtemp(prefix=f"{layer.node}-"))
    for name in manifest.files:
        if "/" not in name:
            (folder / name).write_bytes(layer.file(0, name))
    return folder


def _device(node: Node) -> str:
    if node.stage.name in _WITHOUT_NETWORK:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


_WITHOUT_NETWORK = {"ingest", "weights", "annotated-objects", "annotated-parts", "crf", "ranking", "labels", "eval"}
