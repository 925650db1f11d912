"""Image files that are no longer what was ingested: replaced, or gone."""

from __future__ import annotations

from collections.abc import Iterator

from pdstore import Layer
from pdstore.files import Files
from pdstore.verify import Damage
from schemas.tables import IMAGES
from stages.block import check_unchanged, read_image
from stages.plan.project import Project
from stages.source.images import ImageFault, decode_ahead
from stages.source.tars import open_images

__all__ = ["changed_images", "image_nodes"]


def image_nodes(project: Project) -> list[str]:
    """The nodes that read the image folder, in the pipeline's order."""
    return [name for name, node in project.nodes.items() if node.stage.output is IMAGES]


def changed_images(project: Project, node: str) -> Iterator[Damage | None]:
    """Read every image file that a node has ingested and compare it with the sha256 of then.

    Yields one item per image, None if its file is unchanged; ``file`` is its key. Files that were copied into the
    store are not looked at: they are the store's own, which ``pdstore.verify`` checks.

    Cost: one read of the whole image folder.
    """
    layer = project.layer(node)
    if project[node].settings.identity().get("copy", False):
        return
    images = open_images(project.store, project.source.root)
    for unit in layer.units():
        yield from _of_unit(layer, unit, images)


def _of_unit(layer: Layer, unit: int, images: Files) -> Iterator[Damage | None]:
    def check(item: tuple[str, str]) -> None:
        check_unchanged(read_image(images, item[0]), item[1])

    rows = layer.read(unit, ["key", "sha256"])
    listed = zip(rows["key"].tolist(), rows["sha256"].tolist(), strict=True)
    for (key, _), found in decode_ahead(listed, check):
        is_fault = isinstance(found, ImageFault)
        yield Damage(layer.node, layer.fingerprint, unit, key, f"{found.reason}: {found.detail}") if is_fault else None
