"""Random access to what a query chooses."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from pdstore import Store
from pdstore.errors import UsageError
from stages.loading.map_dataset import MapDataset
from stages.loading.stream import Stream
from tests.stages.loading.made import ABOVE, NUM_IMAGES, pixels_of

TENSORS = ("image", "masks", "labels", "scores", "boxes")


def test_a_number_is_an_image_by_rising_id(made: Store) -> None:
    """There is one sample per image; negative numbers count from the end, and others are an IndexError."""
    dataset = MapDataset(made.url, ABOVE)
    assert len(dataset) == NUM_IMAGES - 1 and [s["image_id"] for s in dataset] == dataset.image_ids.tolist()
    assert dataset[5]["image_id"] == 6 and dataset[-1]["image_id"] == 21
    assert torch.equal(dataset[5]["image"], torch.from_numpy(pixels_of(6)).permute(2, 0, 1))
    for number in (NUM_IMAGES - 1, -NUM_IMAGES):
        with pytest.raises(IndexError, match="there are 21"):
            dataset[number]


def test_samples_are_those_of_the_stream(made: Store) -> None:
    """Random access and the stream give equal tensors."""
    by_id = {sample["image_id"]: sample for sample in MapDataset(made.url, ABOVE)}
    streamed = [sample for batch in Stream(made.url, ABOVE, batch_size=7) for sample in batch]
    assert len(streamed) == 21
    for sample in streamed:
        assert all(torch.equal(sample[name], by_id[sample["image_id"]][name]) for name in TENSORS)


def image_id(sample: dict[str, Any]) -> int:
    return int(sample["image_id"])


def test_workers_read_for_themselves(made: Store) -> None:
    """A data set that has been read from works in forked workers, and keeps its order."""
    dataset = MapDataset(made.url, ABOVE, transform=image_id)
    assert dataset[0] == 0
    loader = DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context="fork")
    assert torch.cat(list(loader)).tolist() == dataset.image_ids.tolist()


def test_a_data_set_can_be_sent_to_a_process(made: Store) -> None:
    """What is opened is not sent, and is opened again where it arrives."""
    dataset = MapDataset(made.url, ABOVE, image_as="pil")
    before = dataset[3]["image"].tobytes()
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent[3]["image"].tobytes() == before and repr(sent) == "MapDataset(21 images with masks of labels)"


def test_packed_images_are_read_one_by_one(packed: Store) -> None:
    """Images that lie in the store need no image folder."""
    dataset = MapDataset(packed.url, "SELECT image_id FROM images")
    assert torch.equal(dataset[9]["image"], torch.from_numpy(pixels_of(9)).permute(2, 0, 1))
    assert repr(dataset) == "MapDataset(22 images)"


def test_the_kind_of_image_is_checked_first(made: Store) -> None:
    """A wrong argument is an error when the data set is made."""
    with pytest.raises(UsageError, match="'tensor' or 'pil'"):
        MapDataset(made.url, ABOVE, image_as="cv2")  # type: ignore[arg-type]
