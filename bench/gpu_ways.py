"""What :mod:`bench.gpu` compares: a node as it is, its network alone, and the same with its other work on the host.

The work on the host is what one would write first: probabilities of whole masks, or whole feature maps, are copied to
the host, which thresholds, sums, groups and encodes them, while the network waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bench.loader import make_store, picture
from pdstore import Identity, Rows, Store, masks
from pdstore.files import Files
from schemas.stages import GroupingSettings, Precision, PredictSettings, ProposalsSettings
from schemas.tables import OBJECTS
from schemas.training import NetworkSettings
from stages.kernels.clustering.grouping import concat_maps, group_pixels
from stages.models.inference import Found, Inference
from stages.models.network import PartNetwork, build
from stages.models.network_files import save_network
from stages.nodes import grouping, predict, proposals
from stages.source.listing import ImageClass
from stages.training_place import TrainingPlace
from stages.unit import Setup, Unit

__all__ = ["WAYS", "Answer", "Scene", "Way", "agreement", "make_files"]

Answer = Mapping[tuple[int, int], bytes]
"""(image_id, number of the mask) -> run lengths."""
Pixels = npt.NDArray[np.uint8]
CLASSES = (ImageClass(0, "n00000001", "object"),)
NUM_PARTS = 8


@dataclass(frozen=True)
class Scene:
    """A store of drawn pictures with objects and parts, and the networks that look at them.

    Attributes:
        folder: of the store, the pictures and the networks ``proposals`` and ``predict``: see :func:`make_files`.
        host_images: how many images are computed with the work on the host.
        batch, device, precision: of the networks.
    """

    folder: Path
    host_images: int
    batch: int
    device: str
    precision: Precision

    @cached_property
    def pictures(self) -> list[Pixels]:
        """All pictures, decoded."""
        return [np.asarray(Image.open(self.folder / f"{n}.jpg")) for n in range(len(list(self.folder.glob("*.jpg"))))]

    @cached_property
    def outlines(self) -> list[npt.NDArray[np.bool_]]:
        """The object in each picture."""
        rows = self.unit("objects").own_block.rows("objects")
        return [masks.decode_one(rows.ragged("rle")[n], *p.shape[:2]) for n, p in enumerate(self.pictures)]

    @property
    def images(self) -> int:
        return len(self.pictures)

    def setup(self, device: str, model: str = "") -> Setup:
        models = {"model": self.folder / model} if model else {}
        return Setup(classes=CLASSES, models=models, files={}, device=device)

    def unit(self, *roles: str) -> Unit:
        """The block of all pictures."""
        store = Store(str(self.folder / "store"))
        return Unit("bench", 0, Files(str(self.folder)), {role: store.layers(role) for role in ("images", *roles)})

    def training_unit(self, folder: Path) -> Unit:
        """The same for a training that keeps its state under ``folder``, in a store that has nothing else."""
        unit, info = self.unit("parts"), Store(str(self.folder / "store")).info
        unit.training = TrainingPlace(Store.create(str(folder), info), "bench", "gpu")
        return unit

    def batches(self, images: int = 0) -> Iterator[tuple[range, list[Pixels]]]:
        """Numbers and pictures of each batch, of the first ``images`` pictures or of all."""
        count = images or self.images
        for first in range(0, count, self.batch):
            numbers = range(first, min(first + self.batch, count))
            yield numbers, [self.pictures[number] for number in numbers]


@dataclass(frozen=True)
class Way:
    """A stage. ``node`` runs it as it is, ``host`` with its other work on the host, ``network`` the network alone.

    Attributes:
        answer: of the rows of the node.
    """

    network: Callable[[], object]
    node: Callable[[], Rows]
    host: Callable[[], Answer]
    answer: Callable[[Rows], Answer]


def make_files(folder: Path, network: NetworkSettings, images: int, height: int, width: int) -> None:
    """Draw the pictures, and write them, the store and the networks into ``folder``."""
    drawn = [picture(number, height, width) for number in range(images)]
    for number, (pixels, _) in enumerate(drawn):
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
    store = make_store(folder, images, images, [(f"{number}.jpg", stack) for number, (_, stack) in enumerate(drawn)])
    objects = store.declare("objects", Identity("bench", 1), OBJECTS, "bench")
    records = [_object(number, np.asarray(stack.any(0))) for number, (_, stack) in enumerate(drawn)]
    objects.commit(0, Rows.from_records(OBJECTS, records))
    save_network(_with_smooth_masks(build(network, 1)), folder / "proposals")
    save_network(_with_smooth_masks(build(network, NUM_PARTS, num_objects=len(CLASSES))), folder / "predict")


def _with_smooth_masks(network: PartNetwork) -> PartNetwork:
    """The network whose masks follow only its coarsest map, so that they are blobs, as those of a trained network.

    Those of random weights are noise, and encoding it is all that the host does. The network computes the same
    products.
    """
    decoder = network.model.pixel_level_module.decoder
    finer = [decoder.adapter_1, *decoder.input_projections[1:]]
    for _, norm in finer:
        torch.nn.init.zeros_(norm.weight)
        torch.nn.init.zeros_(norm.bias)
    return network


def _object(image_id: int, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    named = {"object_id": 0, "category_id": 0, "category_name": "object", "score": 1.0, "area": int(mask.sum())}
    size = {"height": mask.shape[0], "width": mask.shape[1], "rle": masks.encode(mask[None])[0]}
    return {"image_id": image_id, **named, **size}


def agreement(node: Answer, host: Answer, images: int) -> float:
    """The share of equal run lengths among the masks of the first images; 1 if neither way has a mask."""
    own = {key: rle for key, rle in node.items() if key[0] < images}
    same = sum(rle == host.get(key) for key, rle in own.items())
    return same / len(own.keys() | host.keys()) if own or host else 1.0


def _answer(rows: Rows, number: str) -> Answer:
    keys = zip(rows["image_id"].tolist(), rows[number].tolist(), strict=True)
    return {key: rows.ragged("rle")[row] for row, key in enumerate(keys)}


def _encoded(found: Iterable[tuple[tuple[int, int], npt.NDArray[np.bool_]]]) -> Answer:
    return {key: masks.encode(mask[None])[0] for key, mask in found if mask.any()}


def _proposals(scene: Scene) -> Way:
    settings = ProposalsSettings(
        min_score=0,
        max_proposals=10_000,
        batch_size=scene.batch,
        long_side=_long_side(scene),
        precision=scene.precision,
    )
    process = proposals.start(settings, scene.setup(scene.device, "proposals"))
    network = Inference(scene.folder / "proposals", scene.device, settings.long_side, settings.precision)

    def on_host() -> Iterator[tuple[tuple[int, int], npt.NDArray[np.bool_]]]:
        for numbers, pictures in scene.batches(scene.host_images):
            for image_id, found in zip(numbers, network.queries(pictures), strict=True):
                for queries, probabilities in found.masks(range(len(found.classes))):
                    keys = ((image_id, query) for query in queries.tolist())
                    yield from zip(keys, probabilities > 0.5, strict=True)

    return Way(
        lambda: [network.look(pictures) for _, pictures in scene.batches()],
        lambda: process(scene.unit()).rows,
        lambda: _encoded(on_host()),
        lambda rows: _answer(rows, "proposal_id"),
    )


def _predict(scene: Scene) -> Way:
    settings = PredictSettings(
        threshold=0, batch_size=scene.batch, long_side=_long_side(scene), precision=scene.precision
    )
    process = predict.start(settings, scene.setup(scene.device, "predict"))
    network = Inference(scene.folder / "predict", scene.device, settings.long_side, settings.precision)

    def on_host() -> Iterator[tuple[tuple[int, int], npt.NDArray[np.bool_]]]:
        for numbers, pictures in scene.batches(scene.host_images):
            for image_id, found in zip(numbers, network.queries(pictures, [0] * len(pictures)), strict=True):
                chance = _chances(found)
                labels = np.where(chance.max(0) > settings.threshold, chance.argmax(0), -1)
                yield from (((image_id, part), labels == part) for part in range(NUM_PARTS))

    return Way(
        lambda: [network.look(pictures, [0] * len(pictures)) for _, pictures in scene.batches()],
        lambda: process(scene.unit()).rows,
        lambda: _encoded(on_host()),
        lambda rows: _answer(rows, "cluster"),
    )


def _chances(found: Found) -> npt.NDArray[np.float32]:
    chance = np.zeros((found.classes.shape[1] - 1, *found.size), np.float32)
    for queries, probabilities in found.masks(range(len(found.classes))):
        chance += np.tensordot(found.classes[queries, :-1].T, probabilities, 1)
    return chance


def _grouping(scene: Scene) -> Way:
    settings = GroupingSettings(
        maps=(1, 2), n_init=10, batch_size=scene.batch, long_side=_long_side(scene), precision=scene.precision
    )
    process = grouping.start(settings, scene.setup(scene.device, "proposals"))
    network = Inference(scene.folder / "proposals", scene.device, settings.long_side, settings.precision)

    def look(pictures: list[Pixels]) -> Any:
        return network.maps(pictures, settings.maps, settings.input_scale)

    def on_host() -> Iterator[tuple[tuple[int, int], npt.NDArray[np.bool_]]]:
        for numbers, pictures in scene.batches(scene.host_images):
            for image_id, maps in zip(numbers, look(pictures), strict=True):
                joined = concat_maps([torch.as_tensor(m).cpu().numpy() for m in maps])
                outline = scene.outlines[image_id]
                groups = group_pixels(
                    joined, outline, settings.k, settings.metric, settings.seed, n_init=settings.n_init
                )
                yield from (((image_id, part), groups.labels == part) for part in range(settings.k))

    def whole(answer: Answer) -> Answer:
        """The pixels of each object: which of equally good groups k-means finds may depend on the order of sums."""
        found: dict[tuple[int, int], bytes] = {}
        for image_id, outline in enumerate(scene.outlines):
            own = [masks.decode_one(rle, *outline.shape) for (i, _), rle in answer.items() if i == image_id]
            if own:
                found[image_id, 0] = masks.encode(np.any(own, 0)[None])[0]
        return found

    return Way(
        lambda: [look(pictures) for _, pictures in scene.batches()],
        lambda: process(scene.unit("objects")).rows,
        lambda: whole(_encoded(on_host())),
        lambda rows: whole(_answer(rows, "part_id")),
    )


def _long_side(scene: Scene) -> int:
    return max(scene.pictures[0].shape[:2])


WAYS: Mapping[str, Callable[[Scene], Way]] = {"proposals": _proposals, "predict": _predict, "grouping": _grouping}
"""Stage -> its three ways in a scene."""
