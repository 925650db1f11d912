"""A store with its pipeline, from which every verb, every run and every picture starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pdstore import Layer, Store, layout
from pdstore.errors import CorruptData, InputMissing, UsageError
from pdstore.inventory import shown_layer, shown_layers
from pdstore.records.states import PipelineState, add_state
from pdstore.store import FORMAT
from schemas.former import with_moved_settings
from schemas.pipeline import NodeSpec, PipelineSpec, SourceSpec
from stages.plan.digest import is_known
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Node, Pipeline, RecordedFiles
from stages.source.listing import Listing

__all__ = ["Project"]


@dataclass(frozen=True)
class Project:
    """A store and the pipeline of its nodes: the recorded pipeline, possibly with further overrides."""

    store: Store
    pipeline: Pipeline
    state: PipelineState | None = None
    """The recorded state that the pipeline began as; None if none was recorded."""

    @classmethod
    def open(cls, store: Store, overrides: Iterable[str] = ()) -> Project:
        """The store with its recorded pipeline and further overrides ``node.setting=value``.

        Raises:
            UsageError: the store has no pipeline, or an override is wrong.
            CorruptData: the recorded pipeline cannot be read.
        """
        state = store.state()
        if state is None:
            fix = "Run pd init again in a new folder"
            raise UsageError(f"the store has no pipeline (no {layout.PIPELINE})", store.url, fix)
        values = _Recorded.of(state, store.files.full(layout.PIPELINE))
        spec, root = PipelineSpec.parse(values.spec, "pipeline"), SourceSpec.of(store).root
        recorded = with_moved_settings(spec.nodes, values.overrides)
        merged = merge_overrides(overrides, recorded)
        files = values.files
        if files is None:
            files = _files_of_layers(store, Pipeline(spec, recorded, root))
        return cls(store, Pipeline(spec, merged, root, files), state)

    @cached_property
    def source(self) -> SourceSpec:
        """Where the store's images come from."""
        return SourceSpec.of(self.store)

    @cached_property
    def listing(self) -> Listing:
        """Which image is in which block, read once, at the first use."""
        return Listing(self.store)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name, each after its inputs."""
        return self.pipeline.nodes

    def __getitem__(self, name: str) -> Node:
        """The node of this name. Raises UsageError, with the nearest name, if there is none."""
        return self.pipeline[name]

    def layer(self, name: str) -> Layer:
        """The layer that a node writes under the pipeline's settings. It may still be empty."""
        return self.store.layer(name, self[name].fingerprint)

    def shown(self, name: str) -> Layer:
        """The layer of a node that the views show: not yet that of changed settings while it is incomplete."""
        return self.store.layer(name, shown_layer(self.store, name) or self[name].fingerprint)

    def is_accepted(self, name: str) -> bool:
        """True if somebody has recorded the node's settings, as they are now, on purpose."""
        return self._accepted().get(name) == self[name].fingerprint

    def num_units(self, name: str) -> int:
        """How many units a node has."""
        node = self[name]
        return node.stage.num_units(node.settings, self.listing.blocks, self._num_classes)

    @cached_property
    def _num_classes(self) -> int:
        return len(self.listing.classes())

    def extended(self, nodes: Mapping[str, NodeSpec], overrides: Iterable[str] = ()) -> Project:
        """The project with these additional nodes and further overrides."""
        spec = self.pipeline.spec.model_copy(update={"nodes": {**self.pipeline.spec.nodes, **nodes}})
        merged = merge_overrides(overrides, self.pipeline.overrides)
        return replace(self, pipeline=Pipeline(spec, merged, self.pipeline.root, self.pipeline.files()))

    def record(self, *, is_consent: bool = False) -> None:
        """Write the pipeline into the store. What it leads to is shown as soon as it is complete.

        Args:
            is_consent: a person has asked for exactly these settings, so a run may compute new layers without asking.

        Raises:
            PdError: somebody else has changed the pipeline since the project was opened.
        """
        files, current = self.store.files, self.pipeline.current()
        new = PipelineState(
            current=current,
            shown={node: layer for node, layer in shown_layers(self.store).items() if node in self.nodes},
            accepted=current if is_consent else self._accepted(),
            removed={} if self.state is None else self.state.removed,
            spec=self.pipeline.spec.model_dump(mode="json"),
            overrides=self.pipeline.overrides,
            files={n: {k: list(v) for k, v in keys.items()} for n, keys in self.pipeline.files().items()},
        )
        add_state(files, new, self.state)
        if self.store.info.format != FORMAT:
            # From now on the pipeline is not in the one file that an earlier release would change.
            self.store.replace_info(self.store.info)

    def _accepted(self) -> dict[str, str]:
        state = self.store.state()
        return {} if state is None else dict(state.accepted)


@dataclass(frozen=True)
class _Recorded:
    """The pipeline of a state. ``files`` is None in a store that an earlier release wrote."""

    spec: dict[str, Any]
    overrides: dict[str, dict[str, Any]]
    files: RecordedFiles | None

    @classmethod
    def of(cls, state: PipelineState, where: str) -> _Recorded:
        """Raises CorruptData if the record holds no pipeline."""
        files = state.files
        try:
            parsed = files and {n: {k: (str(p), str(d)) for k, (p, d) in keys.items()} for n, keys in files.items()}
            spec, overrides = dict(state.spec or ()), {n: dict(s) for n, s in (state.overrides or {}).items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            problem = f"the file is not a record that this program wrote ({error!r})"
            raise CorruptData(problem, where, "Restore the file from a copy") from None
        if state.spec is None or state.overrides is None:
            problem = "the file is not a record that this program wrote (it has no pipeline)"
            raise CorruptData(problem, where, "Restore the file from a copy")
        return cls(spec, overrides, parsed)


def _files_of_layers(store: Store, pipeline: Pipeline) -> RecordedFiles:
    """The digests of files as the current layers have them."""
    current = store.current()
    files: dict[str, dict[str, tuple[str, str]]] = {}
    for node in pipeline.nodes.values():
        if all(is_known(digest) for digest in node.identity.weights.values()):
            continue
        try:
            weights = store.layer(node.name, current.get(node.name, "")).info.identity.weights
        except InputMissing:
            continue
        known = {key: (str(path), weights[key]) for key, path in node.files.items() if is_known(weights.get(key, ""))}
        files[node.name] = {key: value for key, value in known.items() if value[1]}
    return files
