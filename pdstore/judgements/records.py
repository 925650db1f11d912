"""Judgements: numbered records that are only ever created, one file per act of a person, with a digest of itself.

Who wants the next number lists the records and creates the file after the last one; if another writer was first, the
next number is tried. So two people at once both succeed. Nothing is changed or deleted: what was said by mistake is
taken back by a further record that names the first.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from pdstore import layout
from pdstore.commit import new_attempt
from pdstore.errors import CorruptData, UsageError
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.records import keep_digest, remove_with_digest
from pdstore.table import Column, Table

__all__ = [
    "JUDGEMENTS",
    "KINDS",
    "Judgement",
    "Subject",
    "add_judgement",
    "judgement_names",
    "judgement_problems",
    "judgement_rows",
    "read_judgements",
    "set_aside",
]

FORMAT = 1
KINDS = ("reject", "tag", "name", "merge", "undo")
MAX_SUBJECTS = 1_000_000
MAX_CHARACTERS = 500
RECORDS_PER_READ = 1024
FIX = "Set it aside with: pd verify --repair"

JUDGEMENTS = Table(
    "judgements",
    "One row per thing that a person judged. What was said at once has one number.",
    (
        Column("number", "int64", "number of the judgement, rising in the order in which they were made"),
        Column("created", "float64", "when it was made, seconds since 1970, UTC"),
        Column("who", "string", "the person who made it"),
        Column("kind", "string", "reject, tag, name, merge or undo"),
        Column("value", "string", "the tag, the name, or the reason of a rejection; may be empty"),
        Column("subject", "string", "what was judged: image, object, row or cluster; empty for undo"),
        Column("node", "string", "node that wrote what was judged"),
        Column("layer", "string", "fingerprint of the layer in which it was seen"),
        Column("image_id", "int64", "the image; -1 for a cluster"),
        Column("object_id", "int32", "the object, or that of the row; -1 if it has none"),
        Column("row_id", "int32", "part_id, label_id, proposal_id or segment_id of the row; otherwise -1"),
        Column("category_id", "int32", "class_id of the cluster's class; -1 if no cluster was judged"),
        Column("cluster", "int32", "the cluster; -1 if none was judged"),
        Column("into_cluster", "int32", "the cluster of the same class that it was merged into; otherwise -1"),
        Column("undoes", "int64", "number of the judgement that is taken back; otherwise -1"),
    ),
)


@dataclass(frozen=True)
class Subject:
    """What a judgement is about: an image, an object, a row of a node's table, or a cluster of a class.

    Attributes:
        node, layer: who wrote it, and under which fingerprint. The numbers below are those of this layer.
        row_id: the number that the table gives its rows, such as ``label_id``. cluster: -1 unless it is a cluster.
    """

    node: str
    layer: str
    image_id: int = -1
    object_id: int = -1
    row_id: int = -1
    category_id: int = -1
    cluster: int = -1

    @property
    def kind(self) -> str:
        """image, object, row or cluster."""
        if self.cluster >= 0:
            return "cluster"
        return "row" if self.row_id >= 0 else "object" if self.object_id >= 0 else "image"


@dataclass(frozen=True)
class Judgement:
    """One act of one person.

    Attributes:
        kind: one of :data:`KINDS`. value: the tag, the name, or why something was rejected.
        into_cluster: for ``merge``, the cluster of the same class that the subject is now part of; otherwise -1.
        undoes: for ``undo``, the number of the judgement that no longer holds; otherwise -1.
        created: seconds since 1970, UTC. token: tells the record from any other, however equal.

    Raises:
        UsageError: the act makes no sense, such as a name for an image.
    """

    number: int
    who: str
    kind: str
    subjects: tuple[Subject, ...] = ()
    value: str = ""
    into_cluster: int = -1
    undoes: int = -1
    created: float = 0.0
    token: str = ""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise UsageError(problem, f"judgement {self.kind!r}", "See docs/judgements.md")

    def _problem(self) -> str:
        if self.kind not in KINDS:
            return f"expected one of {', '.join(KINDS)}"
        if not self.who.strip():
            return "nobody is named who made it"
        if max(len(self.who), len(self.value)) > MAX_CHARACTERS:
            return f"a text is longer than {MAX_CHARACTERS} characters"
        if not (self.who + self.value).isprintable():
            return "a text has characters that cannot be printed"
        if self.kind == "undo":
            return "" if self.undoes >= 0 and not self.subjects else "an undo names one judgement, and nothing else"
        if not 0 < len(self.subjects) <= MAX_SUBJECTS:
            return f"expected 1 to {MAX_SUBJECTS} things to judge, found {len(self.subjects)}"
        if any(s.cluster < 0 and s.image_id < 0 for s in self.subjects):
            return "a subject is neither an image nor a cluster"
        if self.kind in ("tag", "name") and not self.value.strip():
            return "the text is empty"
        if self.kind in ("name", "merge") and any(s.kind != "cluster" for s in self.subjects):
            return "only clusters can be named or merged"
        is_itself = any(s.cluster == self.into_cluster for s in self.subjects)
        if self.kind == "merge" and (self.into_cluster < 0 or is_itself):
            return "a cluster is merged into another one of its class"
        return ""

    def to_json(self) -> bytes:
        values = asdict(self) | {"format": FORMAT}
        return json.dumps(values | {"digest": digest(values)}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes, number: int) -> Judgement:
        """The judgement with this number.

        Raises:
            CorruptData: the record was changed since it was written, or is not the one with this number.
        """
        try:
            values = json.loads(data)
            if values.pop("digest") != digest(values):
                raise ValueError("its digest differs from its content")
            if values.pop("format") != FORMAT:
                raise ValueError(f"it is not of format {FORMAT}; update the program")
            if values["number"] != number:
                raise ValueError(f"it is the record of judgement {values['number']}")
            values["subjects"] = tuple(Subject(**subject) for subject in values["subjects"])
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problem = f"the file is not a judgement as it was written ({error!s})"
            raise CorruptData(problem, layout.judgement(number), FIX) from None


def add_judgement(
    files: Files,
    who: str,
    kind: str,
    subjects: Iterable[Subject] = (),
    *,
    value: str = "",
    into_cluster: int = -1,
    undoes: int = -1,
) -> Judgement:
    """Write a judgement under the next free number.

    Raises:
        UsageError: it makes no sense, or takes back what is not there, or was taken back already.
        StorageFailure: no space, or no permission; nothing was written.
    """
    about, token = tuple(subjects), new_attempt()
    said = Judgement(_next_number(files), who, kind, about, value, into_cluster, undoes, time.time(), token)
    if kind == "undo":
        _check_undo(files, undoes)
    while not files.create_own(layout.judgement(said.number), said.to_json()):
        said = replace(said, number=said.number + 1)
    # The record has a digest of its own. That of the file says that it was there, should it be lost.
    keep_digest(files, layout.judgement(said.number), io.BytesIO(said.to_json()))
    return said


def read_judgements(files: Files) -> list[Judgement]:
    """All judgements, by rising number. Cost: one listing, and the records in gathered reads.

    Raises:
        CorruptData: a record is damaged, or lost.
    """
    if lost := _lost(files):
        raise CorruptData("the record of the judgement is missing", files.full(layout.judgement(lost[0])), FIX)
    numbers, found = _numbers(judgement_names(files)), list[Judgement]()
    for first in range(0, len(numbers), RECORDS_PER_READ):
        paths = {layout.judgement(number): number for number in numbers[first : first + RECORDS_PER_READ]}
        contents = files.read_many(list(paths))
        found += [Judgement.from_json(contents[path], number) for path, number in paths.items()]
    return found


def judgement_names(files: Files) -> list[str]:
    """The names of the records. They change whenever somebody judges, since a record is never changed."""
    return [name for name in files.names(layout.JUDGEMENTS) if name.endswith(".json")]


def judgement_rows(judgements: Iterable[Judgement]) -> pa.Table:
    """The rows of :data:`JUDGEMENTS`."""
    columns: dict[str, list[Any]] = {name: [] for name in JUDGEMENTS.names}
    for said in judgements:
        act = {name: getattr(said, name) for name in JUDGEMENTS.names if hasattr(said, name)}
        for about in said.subjects or (Subject("", ""),):
            row: Mapping[str, Any] = act | asdict(about) | {"subject": about.kind if said.subjects else ""}
            for name, values in columns.items():
                values.append(row[name])
    return pa.table(columns, schema=JUDGEMENTS.arrow_schema)


def judgement_problems(files: Files) -> Iterator[tuple[int, str]]:
    """Number and problem of each damaged record, and of each undo of a judgement that is not there."""
    numbers = _numbers(judgement_names(files))
    known = {*numbers, *_set_aside(files)}
    yield from ((number, "missing") for number in _lost(files))
    for number in numbers:
        try:
            said = Judgement.from_json(files.read(layout.judgement(number)), number)
        except CorruptData as error:
            yield number, error.problem
            continue
        if said.undoes not in {-1, *known}:
            yield number, f"it takes back judgement {said.undoes}, which is not there"


def set_aside(files: Files, number: int) -> None:
    """Keep a damaged record where no reader looks for judgements."""
    path = layout.judgement(number)
    try:
        said = files.read(path)
    except FileNotFoundError:
        said = b""  # what is left of it is that its number was given
    files.write(layout.judgement_set_aside(number, new_attempt()), said)
    remove_with_digest(files, path)


def _check_undo(files: Files, undoes: int) -> None:
    known = {said.number: said for said in read_judgements(files)}
    where, fix = f"judgement {undoes}", 'See them with: pd sql "SELECT * FROM judgements"'
    if undoes not in known:
        raise UsageError("there is no such judgement", where, fix)
    if known[undoes].kind == "undo":
        raise UsageError("an undo cannot be taken back", where, "Say again what it took back")
    if any(said.undoes == undoes for said in known.values()):
        raise UsageError("it was taken back already", where, fix)


def _next_number(files: Files) -> int:
    return max((*_numbers(files.names(layout.JUDGEMENTS)), *_set_aside(files)), default=-1) + 1


def _lost(files: Files) -> list[int]:
    """The numbers of records of which only the digest is left."""
    names = files.names(layout.JUDGEMENTS)
    digests = _numbers([name for name in names if name.endswith(layout.digest(".json"))])
    return sorted({*digests} - {*_numbers([name for name in names if name.endswith(".json")])} - {*_set_aside(files)})


def _set_aside(files: Files) -> list[int]:
    """The numbers of records that were set aside."""
    return _numbers(files.names(layout.judgements_set_aside()))


def _numbers(names: Sequence[str]) -> list[int]:
    return sorted(int(stem) for name in names if (stem := name.partition(".")[0]).isdecimal())
