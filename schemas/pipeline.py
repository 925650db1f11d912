"""A pipeline as it is written in YAML: nodes, their stages, inputs and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from pdstore import Store
from schemas.base import Settings
from schemas.former import with_candidates

__all__ = ["DrawingName", "NodeSpec", "PipelineSpec", "SourceSpec", "merged_values"]


NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
"""The name of a node. It names a folder of the store, and is used in SQL and on the command line."""

DrawingName = Literal["shapes", "textures"]
"""What the demo can draw: plain shapes, or other objects with textures."""


class NodeSpec(Settings):
    """One node.

    Attributes:
        stage: the stage that computes the node; unless set, the stage named like the node.
        inputs: role -> node or nodes to read.
        settings: settings of the stage; those left out keep their defaults.
        optional: ``pd run`` leaves the node out unless it is named, or needed by a node that is run.
    """

    stage: str = Field("", description="stage that computes the node; unless set, the stage named like the node")
    inputs: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="role -> node or nodes to read")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of the stage")
    optional: bool = Field(False, description="pd run leaves the node out unless it is named or needed")

    @field_validator("inputs", mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: (node,) if isinstance(node, str) else node for role, node in value.items()}


class PipelineSpec(Settings):
    """A whole pipeline: a preset or a user's own file.

    ``rounds`` stands for nodes: :func:`schemas.rounds.with_rounds` writes them out, and then it is 1.
    """

    description: str = Field("", description="what the pipeline is for")
    block_size: int = Field(
        1024,
        ge=0,
        le=1_048_576,
        description="images per block; 0: 10 to 1024, by their number. Fixed when the store is made",
    )
    seed: int = Field(0, ge=0, description="seed of the order of images; fixed when the store is made")
    rounds: int = Field(
        1,
        ge=1,
        le=9,
        exclude=True,
        description="how often parts are proposed, labelled and learnt; written out as nodes",
    )
    nodes: dict[NodeName, NodeSpec] = Field(min_length=1, description="name -> node")

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, values: Any) -> Any:
        return with_candidates(values)


def merged_values(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``changes``: mappings in both are merged, and anything else is replaced."""
    merged = dict(values)
    for name, change in changes.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(change, Mapping):
            merged[name] = merged_values(before, change)
        else:
            merged[name] = change
    return merged


class SourceSpec(Settings):
    """Where a store's images come from."""

    kind: str = Field("folder", description="folder, list, dataset or demo")
    root: str = Field(description="folder that the keys are relative to")
    list_file: str = Field("", description="list: a text file with one 'key' or 'key<TAB>class' per line")
    dataset: str = Field("", description="dataset: name of the data set, such as part_imagenet_val")
    class_file: str = Field(
        "", description="text file with the only classes to take: one WordNet code or folder name per line"
    )
    labels: str = Field(
        "", description="file with the names of the classes, or a folder with the files that ImageNet publishes"
    )
    splits: tuple[str, ...] = Field((), description="the only splits to take: train, val, test; empty takes all")
    read_as: Literal["", "splits", "classes"] = Field(
        "", description="what a folder is that can be a split or a class; unless set, such a folder is an error"
    )
    follow_links: bool = Field(False, description="follow links that lead out of the image folder")
    num_train: int = Field(900, ge=1, description="demo: number of training images to draw")
    num_val: int = Field(180, ge=1, description="demo: number of held-out images to draw")
    seed: int = Field(0, ge=0, description="demo: seed of the drawings")
    drawing: DrawingName = Field("shapes", description="demo: what is drawn")

    @classmethod
    def of(cls, store: Store) -> SourceSpec:
        """Where the images of a store come from, as ``store.json`` says."""
        values = store.info.source
        return cls.parse({name: values[name] for name in cls.model_fields if name in values}, "store.json, source")

    @property
    def dataset_name(self) -> str:
        """Name of the data set that the images are; empty for a folder or a list of the user's own."""
        return {"dataset": self.dataset, "demo": "demo"}.get(self.kind, "")
