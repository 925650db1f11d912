from stages.loading.collate import detection_targets as detection_targets
from stages.loading.collate import mask2former_inputs as mask2former_inputs
from stages.loading.map_dataset import MapDataset as MapDataset
from stages.loading.stream import Loader as Loader
from stages.loading.stream import Stream as Stream

__all__ = ["Loader", "MapDataset", "Stream", "detection_targets", "mask2former_inputs"]
