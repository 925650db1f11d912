"""A trained network together with what its outputs mean: the record that an export writes and ``pd predict`` runs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from pdstore.errors import UsageError, nearest
from stages.models.head import SlicedHead
from stages.models.network import PartNetwork
from stages.source.listing import ImageClass

__all__ = ["Kind", "PartModel", "unnamed_classes"]

Kind = Literal["parts of a class", "named parts", "proposals", "objects"]
"""What a network answers: the numbered parts of a given object class; parts with names; parts without a class; or
objects, as a segmenter does."""


@dataclass(frozen=True, eq=False)
class PartModel:
    """A network in evaluation mode.

    Attributes:
        network: the network, on the CPU.
        source: where it comes from, for messages.
        objects: the object classes of a class-specific head, in the order of its slots; empty for a plain head.
        parts: (object class, part) of each class of a supervised model; the class is empty if objects share names.
        labels: names of the classes of an object segmenter.
        settings: those of the stage that runs it (``predict`` or ``proposals``), as JSON values.
        trained_px: side of the pictures that the network was trained on, in pixels; 0 if that is not known.
    """

    network: PartNetwork
    source: str
    objects: Sequence[ImageClass] = ()
    parts: Sequence[tuple[str, str]] = ()
    labels: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    trained_px: int = 0

    @property
    def kind(self) -> Kind:
        if self.network.num_objects:
            return "parts of a class"
        if self.parts:
            return "named parts"
        return "proposals" if self.network.num_classes == 1 else "objects"

    @cached_property
    def object_names(self) -> list[str]:
        """The names of :attr:`objects`; those that share a name have their code behind it."""
        names = [one.name or one.wnid for one in self.objects]
        return [
            f"{name} ({one.wnid})" if names.count(name) > 1 else name
            for one, name in zip(self.objects, names, strict=True)
        ]

    def label_names(self) -> list[str]:
        """The name of each class of the head, such as ``dog: part 3``; that of a class-specific head is unrolled."""
        if self.kind == "parts of a class":
            parts = range(self.network.num_classes)
            return [f"{name}: part {part}" for name in self.object_names for part in parts]
        if self.kind == "named parts":
            return [": ".join(filter(None, pair)) for pair in self.parts]
        if self.kind == "proposals":
            return ["part"]
        return list(self.labels) or [f"class {number}" for number in range(self.network.num_classes)]

    def slot(self, text: str) -> int:
        """The slot of an object class, given by its name or code, in any case.

        Raises:
            UsageError: the head has no such class, or several.
        """
        word = text.strip().lower()
        exact = [n for n, name in enumerate(self.object_names) if name.lower() == word]
        found = exact or [n for n, one in enumerate(self.objects) if word in (one.name.lower(), one.wnid.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            fix = f"Give one of: {', '.join(self.object_names[n] for n in found)}"
            raise UsageError(f"{len(found)} object classes of the model are called {text!r}", self.source, fix)
        fix = nearest(text, [*self.object_names, *(one.wnid for one in self.objects)])
        raise UsageError(f"the model has no object class {text!r}", self.source, fix)

    def of_classes(self, names: Sequence[str]) -> PartModel:
        """The same model with these object classes alone, in this order. Its other outputs do not change.

        Raises:
            UsageError: the head is not class-specific, or has no such class.
        """
        if not isinstance(self.network.class_predictor, SlicedHead):
            fix = "Leave --class out"
            raise UsageError("only a model with a class-specific head has object classes", self.source, fix)
        return self.of_slots(list(dict.fromkeys(self.slot(name) for name in names)))

    def of_slots(self, slots: list[int]) -> PartModel:
        """The same, by the numbers of the classes."""
        head = self.network.class_predictor
        assert isinstance(head, SlicedHead)
        smaller = SlicedHead(head.weight.shape[2], len(slots), head.num_parts)
        smaller.load_state_dict(
            {
                "weight": head.weight[slots],
                "bias": head.bias[slots],
                **{f"no_object.{name}": value for name, value in head.no_object.state_dict().items()},
            }
        )
        # Everything but the head is shared.
        network = copy.copy(self.network)
        network._modules = dict(network._modules)
        network.class_predictor, network.num_objects = smaller.eval().to(head.weight.device), len(slots)
        return replace(self, network=network, objects=[self.objects[slot] for slot in slots])


def unnamed_classes(number: int) -> list[ImageClass]:
    """Stand-ins for the object classes of a head of which nobody says what they are: their numbers."""
    return [ImageClass(slot, str(slot), f"class {slot}") for slot in range(number)]
