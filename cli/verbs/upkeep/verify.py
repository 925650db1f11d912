"""``pd verify``: compare every committed file with its manifest, or every image file with what was ingested."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.output import print_json, print_table, say
from cli.session import open_project, open_store
from pdstore.errors import CorruptData, UsageError, nearest
from pdstore.records.check import uncovered_files
from pdstore.verify import Damage, repair, verify
from stages.block import CHANGED
from stages.plan.changed_images import changed_images, image_nodes

__all__ = ["command"]

SHOWN_FILES = 5


@click.command("verify")
@click.argument("node", required=False)
@click.option("--repair", "is_repair", is_flag=True, help="Withdraw damaged units, so that they are recomputed.")
@click.option("--images", "is_images", is_flag=True, help="Compare the image files with what was ingested, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(node: str | None, is_repair: bool, is_images: bool, as_json: bool) -> None:
    """Read every committed file and compare its size and checksum with what was committed.

    The next pd run recomputes the units that --repair withdraws; their damaged files are kept until pd gc deletes them.
    Damaged files of an index are removed: nothing is lost, and pd compact makes them again. Damaged judgements are set
    aside. The store's other files (listing, classes, pipeline, selections, checkpoints) have digests, too: what is
    damaged there and cannot be made again is named, to be restored from a copy.

    With --images, the files of the image folder are read instead, and compared with the sha256 of the time of ingest;
    --repair then has the blocks of those that were replaced ingested again. Files that are gone are only listed.

    \b
    Examples:
      pd verify
      pd verify grouping --repair
      pd verify --images
    """
    if is_images:
        _verify_images(node, is_repair, as_json)
        return
    store = open_store()
    if node and node not in store.nodes():
        fix = nearest(node, store.nodes()) if store.nodes() else "Nothing has run yet; start with: pd run"
        raise UsageError(f"expected a node that has been run, found {node!r}", "pd verify", fix)
    units, damage = 0, []
    for item in verify(store, node):
        units += item is None or bool(item.node and item.unit >= 0)
        if item is not None:
            damage.append(item)
    left = [item for item in damage if not repair(store, item)] if is_repair else damage
    uncovered = [] if node else uncovered_files(store.files)
    if as_json:
        values = {"damage": [asdict(item) for item in damage], "repaired": is_repair, "not_covered": uncovered}
        print_json({"units": units, **values})
    elif damage:
        print_table(("node", "layer", "unit", "file", "problem"), [_row(item) for item in damage])
    if uncovered:
        files = f"{', '.join(uncovered[:SHOWN_FILES])}{', …' if len(uncovered) > SHOWN_FILES else ''}"
        say(f"{len(uncovered)} files are not covered, since they were made before digests: {files}")
    _conclude(units, damage, left, is_repair)


def _verify_images(name: str | None, is_repair: bool, as_json: bool) -> None:
    project = open_project()
    known = image_nodes(project)
    if name and name not in known:
        raise UsageError(f"{name!r} is no node that reads the image folder", "--images", nearest(name, known))
    count, damage = 0, []
    for node in [name] if name else known:
        for item in changed_images(project, node):
            count += 1
            damage += [item] if item is not None else []
    replaced = {(d.node, d.unit): d for d in damage if d.problem.startswith(CHANGED)} if is_repair else {}
    for item in replaced.values():
        project.store.layer(item.node, item.fingerprint).withdraw(item.unit)
    if as_json:
        print_json({"images": count, "damage": [asdict(item) for item in damage], "repaired": is_repair})
    elif damage:
        columns = ("node", "unit", "image", "problem")
        print_table(columns, [(d.node, d.unit, d.file, d.problem) for d in damage])
    if not damage:
        say(f"{count} images are as they were ingested.")
        return
    if replaced:
        say(f"Blocks withdrawn: {len(replaced)}. Ingest them again with: pd run; what read them: pd run --refresh")
    if not is_repair or any(not d.problem.startswith(CHANGED) for d in damage):
        fix = "Bring the old files back, or take the new ones: pd verify --images --repair"
        raise CorruptData(f"{len(damage)} of {count} images are not as they were ingested", project.source.root, fix)


def _conclude(units: int, found: list[Damage], left: list[Damage], is_repair: bool) -> None:
    if not found:
        say(f"{units} units are sound.")
        return
    if is_repair:
        damage = [item for item in found if item not in left]
        index = sum("/index/" in item.file for item in damage)
        if index:
            say(f"{index} index files were removed. Nothing is lost; make them again with: pd compact")
        said = sum(not item.node and item.unit >= 0 for item in damage)
        files = sum(not item.node and item.unit < 0 for item in damage)
        if said:
            say(f"{said} damaged judgements were set aside in the store's folder judgements/damaged. Say them again.")
        if files:
            say(f"{files} other records were restored or removed. Nothing is lost.")
        if withdrawn := len(damage) - index - said - files:
            say(f"{withdrawn} units or layer records were withdrawn. Recompute them with: pd run")
        if left:
            names = ", ".join(item.file for item in left)
            raise CorruptData(f"{len(left)} damaged files cannot be made again", names, "Restore them from a copy")
    else:
        fix = "Withdraw them with pd verify --repair, then recompute them with pd run"
        raise CorruptData(f"expected every file as committed, found {len(found)} damaged", f"{units} units", fix)


def _row(item: Damage) -> tuple[object, ...]:
    return (
        item.node,
        item.fingerprint,
        item.unit if item.unit >= 0 else "",
        item.file.rsplit("/", 1)[-1],
        item.problem,
    )
