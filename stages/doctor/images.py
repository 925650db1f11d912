"""The image folder: whether it is there, and whether a sample of its images can be read and decoded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from pdstore.errors import PdError
from stages.block import is_packed
from stages.doctor.finding import Finding, Verdict
from stages.plan.project import Project
from stages.source.images import ImageFault, decode
from stages.source.listing import Listed
from stages.source.tars import open_images

__all__ = ["SAMPLE", "image_findings"]

GROUP = "images"
SAMPLE = 8


def image_findings(project: Project) -> Iterator[Finding]:
    """The folder, and ``SAMPLE`` images of as many blocks. Cost: at most as many blocks of the listing are read.

    If the store holds copies of the images, the folder may be gone.
    """
    root = project.source.root
    has_copies = any(
        node.stage.reads_listing and len(layer.units()) == project.num_units(name) and is_packed(layer)
        for name, node in project.nodes.items()
        if (layer := project.layer(name)).units()
    )
    bad: Verdict = "warning" if has_copies else "fails"
    fix = "The store holds copies of the images" if has_copies else "Is the disk mounted? Bring the folder back"
    try:
        images = open_images(project.store, root)
        if not images.exists(""):
            yield Finding(GROUP, "folder", f"{root} is not there", bad, fix)
            return
        chosen = _sample(project)
        problems = [(image.key, why) for image in chosen if (why := _problem(images.read, image))]
    except (PdError, OSError) as error:
        yield Finding(GROUP, "folder", f"{root}: {error}", bad, fix)
        return
    yield Finding(GROUP, "folder", f"{root}, {project.listing.images} images listed")
    name = f"a sample of {len(chosen)} images"
    if not problems:
        yield Finding(GROUP, name, "all can be read")
        return
    found = f"{len(problems)} cannot be read, such as {problems[0][0]}: {problems[0][1]}"
    verdict: Verdict = bad if len(problems) == len(chosen) else "warning"
    few = "Images that cannot be read are left out, with the reason in the table errors; see pd verify --images"
    yield Finding(GROUP, name, found, verdict, fix if len(problems) == len(chosen) else few)


def _sample(project: Project) -> list[Listed]:
    """One image of each of some blocks that lie evenly in the listing; more of a block if there are few blocks."""
    listing, chance = project.listing, random.Random(project.store.info.seed)
    blocks = sorted({number * listing.blocks // SAMPLE for number in range(SAMPLE)}) if listing.blocks else []
    per_block = -(-SAMPLE // max(1, len(blocks)))
    found: list[Listed] = []
    for block in blocks:
        images = listing.read(block)
        found += chance.sample(images, min(per_block, len(images)))
    return found[:SAMPLE]


def _problem(read: Callable[[str], bytes], image: Listed) -> str:
    try:
        decode(read(image.key))
    except ImageFault as fault:
        return f"{fault.reason}: {fault.detail}"
    except (PdError, OSError) as error:
        return str(error)
    return ""
