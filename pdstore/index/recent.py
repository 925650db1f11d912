"""What a layer in an object store has committed, from one listing: its index files, and the units announced since.

Readers of a local store list commits, attempts and withdrawals, and believe no index that these do not bear out. In an
object store that would be a request per 1,000 of each, layer by layer. There every change is announced before it is
made (:mod:`pdstore.records.announced`), and a reader takes the index for what is not announced. ``pd verify`` compares
both with the commits, one by one.

The index files, the records of layers and the manifests that are read are kept in the user's cache folder.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence

from pdstore import layout
from pdstore.commit import Manifest
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.files.kept import KeptFiles
from pdstore.files.objects import Stamp
from pdstore.index.entries import Entry, entry_table
from pdstore.index.indexfile import IndexFile
from pdstore.index.reader import Commits, IndexReader, Source, read_manifests
from pdstore.records.announced import WITHDRAWN

__all__ = [
    "RecentReader",
    "adopt",
    "announced_units",
    "fetch_bundle",
    "kept_of",
    "recent_layers",
    "recent_problems",
    "settle",
    "write_bundle",
]

WORTH_A_BUNDLE = 3
"""Files that a reader lacks before it fetches all of them in one."""
BUNDLE_BYTES = 64 << 20

_LOG = logging.getLogger(__name__)


def kept_of(files: Files) -> KeptFiles:
    """What is kept of this store on this machine."""
    return KeptFiles(files.uri(""))


class RecentReader:
    """Reads what one layer of an object store has committed. What it has once read it does not read again.

    Attributes:
        manifests: those that were read, by unit.
        is_lacking: a unit is announced and not committed: it will be, was taken back, or its manifest was lost.
    """

    def __init__(self, files: Files, node: str, fingerprint: str) -> None:
        self._files, self._place = files, (node, fingerprint)
        self._kept = kept_of(files)
        self._indexed: dict[str, IndexFile] = {}
        self._known: dict[tuple[int, frozenset[str]], Manifest] = {}
        self.manifests: Mapping[int, Manifest] = {}
        self.is_lacking = False

    def record(self) -> bytes | None:
        """The copy of the layer's record; None if the layer is not announced."""
        path = layout.recent_layer(*self._place)
        stamp = self._files.tree(layout.recent(*self._place)).get(path)
        return None if stamp is None else self._kept.get(_key(path, stamp), lambda: self._files.read(path))

    def commits(self) -> Commits | None:
        """What is committed now; None if the layer is not announced, or what gathers it cannot be read.

        Raises:
            CorruptData: the manifest of an announced unit is damaged.
        """
        tree = self._files.tree(layout.recent(*self._place))
        if layout.recent_layer(*self._place) not in tree:
            return None
        try:
            indexed = [self._index_file(path, tree[path]) for path in reversed(_index_paths(tree))]
        except (FileNotFoundError, ValueError) as error:
            # It was replaced since, or is damaged: every commit tells the same.
            _LOG.info("the commits of %s are listed: %s", self._place[0], error)
            return None
        announced = announced_units(tree)
        taken, gathered = set(announced), []
        for file in indexed:
            units = file.table.column("unit").to_pylist()
            live = [row for row, unit in enumerate(units) if unit not in taken]
            if live:
                gathered.append(Source(file.table, None if len(live) == len(units) else tuple(live), file))
                taken.update(units)
        self.manifests = self._newest(announced)
        self.is_lacking = not announced.keys() <= self.manifests.keys()
        return Commits(tuple(gathered), Source(entry_table([Entry.of(m) for _, m in sorted(self.manifests.items())])))

    def _index_file(self, path: str, stamp: Stamp) -> IndexFile:
        key = _key(path, stamp)
        if key not in self._indexed:
            number = _number(path)
            data = self._kept.get(key, lambda: self._files.read(path))
            self._indexed[key] = IndexFile.from_bytes(data, *self._place, number)
        return self._indexed[key]

    def _newest(self, announced: Mapping[int, frozenset[str]]) -> dict[int, Manifest]:
        """Unit -> manifest, of the announced units that are committed."""
        known = {unit: m for (unit, names), m in self._known.items() if announced.get(unit) == names}
        for unit in announced.keys() - known.keys():
            data = self._kept.find(self._manifest_key(unit, announced[unit]))
            if data is not None:
                known[unit] = Manifest.from_json(data, *self._place, unit)
        read = {m.unit: m for m in read_manifests(self._files, *self._place, sorted(announced.keys() - known.keys()))}
        for unit, manifest in read.items():
            # That nothing is committed may change; that an announced attempt is, only after another announcement.
            if manifest.attempt in announced[unit] and f"{manifest.attempt}{WITHDRAWN}" not in announced[unit]:
                self._kept.put(self._manifest_key(unit, announced[unit]), manifest.to_json())
                known[unit] = manifest
        self._known = {(unit, announced[unit]): manifest for unit, manifest in known.items()}
        return {**known, **read}

    def _manifest_key(self, unit: int, names: frozenset[str]) -> str:
        return f"{layout.commit(*self._place, unit)} {' '.join(sorted(names))}"


def announced_units(tree: Mapping[str, Stamp]) -> dict[int, frozenset[str]]:
    """Unit -> what was announced of it."""
    found: dict[int, set[str]] = {}
    for path in tree:
        unit, _, what = path.rsplit("/", 1)[-1].partition(".")
        if unit.isdecimal() and what:
            found.setdefault(int(unit), set()).add(what)
    return {unit: frozenset(names) for unit, names in found.items()}


def recent_layers(files: Files) -> dict[str, list[str]] | None:
    """Node -> its layers; None if some layers of the store may not be announced."""
    tree = files.tree(layout.RECENT)
    if layout.RECENT_WHOLE not in tree:
        return None
    places = {tuple(path.split("/")[1:3]) for path in tree if path.count("/") == 3}
    found: dict[str, list[str]] = {}
    for node, fingerprint in sorted(places):
        found.setdefault(node, []).append(fingerprint)
    return found


def settle(
    files: Files, node: str, fingerprint: str, before: Mapping[str, Stamp], commits: Commits, *, record: bytes = b""
) -> None:
    """Bring what readers look at to the index, after something was added to that.

    Args:
        before: the tree of the layer, listed before the commits.
        commits: what is committed, from every commit.
        record: that of the layer, if it was not announced until now.
    """
    place = node, fingerprint
    paths = {layout.recent_file(*place, s.file.number): s.file for s in commits.gathered if s.file is not None}
    for path, file in paths.items():
        if path not in before:
            files.write(path, file.to_bytes())
    if record:
        _announce_all(files, place, commits)
        files.write(layout.recent_layer(*place), record)
    attempts = {
        unit: attempt
        for source in commits.gathered
        for unit, attempt in zip(source.column("unit"), source.column("attempt"), strict=True)
    }
    # A withdrawal that is announced may still be going on: it is kept as long as its attempt is the committed one.
    done = [
        layout.recent_file(*place, unit, what)
        for unit, names in announced_units(before).items()
        for what in names
        if unit in attempts and what != f"{attempts[unit]}{WITHDRAWN}"
    ]
    files.remove_many(done)
    files.remove_many([path for path in _index_paths(before) if path not in paths])


def adopt(files: Files) -> None:
    """Note that every layer of the store is announced, which the caller has made sure of, and write the bundle."""
    files.write(layout.RECENT_WHOLE, b"")
    write_bundle(files)


def write_bundle(files: Files) -> None:
    """Write all that a new reader needs into one file."""
    tree, kept = files.tree(layout.RECENT), kept_of(files)
    sink, size = io.BytesIO(), 0
    with zipfile.ZipFile(sink, "w") as bundle:
        for path, stamp in tree.items():
            if _is_bundled(path) and (size := size + stamp.size) <= BUNDLE_BYTES:
                data = kept.get(_key(path, stamp), lambda path=path: files.read(path))  # type: ignore[misc]
                bundle.writestr(_key(path, stamp), data)
    files.write(layout.RECENT_BUNDLE, sink.getvalue())


def fetch_bundle(files: Files) -> None:
    """Keep what a reader needs of all layers, in one request instead of one per file, if more than a few are new."""
    if files.is_local:
        return
    tree, kept = files.tree(layout.RECENT), kept_of(files)
    bundle = layout.RECENT_BUNDLE
    missing = {key for path, stamp in tree.items() if _is_bundled(path) and kept.find(key := _key(path, stamp)) is None}
    if bundle not in tree or len(missing) <= WORTH_A_BUNDLE or kept.folder is None:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(files.read(bundle))) as opened:
            for name in missing.intersection(opened.namelist()):
                kept.put(name, opened.read(name))
    except (zipfile.BadZipFile, FileNotFoundError, NotImplementedError) as error:
        _LOG.info("%s is left out: %s", bundle, error)


def recent_problems(files: Files, node: str, fingerprint: str) -> Iterator[tuple[str, str]]:
    """Path and problem of what readers of an object store would be misled by."""
    place = node, fingerprint
    try:
        found = RecentReader(files, node, fingerprint).commits()
        if found is None:
            return
        told = found.by_unit("attempt")
        true = IndexReader(files, node, fingerprint).commits().by_unit("attempt")
    except CorruptData:
        return  # the damaged manifest is reported with its unit
    announced = announced_units(files.tree(layout.recent(*place)))
    for unit in sorted(told.keys() | true.keys()):
        if told.get(unit) != true.get(unit) and unit not in announced:
            yield layout.recent_layer(*place), f"unit {unit} is not announced, and is not as its index says"
            return


def _announce_all(files: Files, place: tuple[str, str], commits: Commits) -> None:
    loose = zip(commits.loose.column("unit"), commits.loose.column("attempt"), strict=True)
    files.write_many({layout.recent_file(*place, unit, attempt): b"" for unit, attempt in loose})
    live = set(commits.units)
    dead = {unit for source in commits.gathered for unit in source.dead} - live
    files.write_many({layout.recent_file(*place, unit, f"before{WITHDRAWN}"): b"" for unit in dead})


def _index_paths(tree: Mapping[str, Stamp]) -> Sequence[str]:
    return [path for path in tree if path.rsplit("/", 1)[-1].startswith("index-")]


def _number(path: str) -> int:
    return int(path.rsplit("index-", 1)[-1].removesuffix(".arrow"))


def _is_bundled(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return path.count("/") == 3 and (name.startswith("index-") or name == "layer.json")


def _key(path: str, stamp: Stamp) -> str:
    return f"{path} {stamp.size} {stamp.mark}"
