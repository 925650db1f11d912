from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store, layout
from pdstore.errors import CorruptData, UsageError
from pdstore.files import Files
from pdstore.garbage import find_garbage
from pdstore.judgements import (
    JUDGEMENTS,
    Judgement,
    Subject,
    add_judgement,
    judgement_names,
    judgement_rows,
    read_judgements,
)
from pdstore.judgements.records import judgement_problems
from pdstore.verify import repair, verify
from tests.pdstore.conftest import Place
from tests.pdstore.example import new_store

ROW = Subject("labels", "f00d", 5, 0, 2)
CLUSTER = Subject("ranking", "beef", category_id=3, cluster=1)


class TestContract:
    """Judgements, wherever the store is."""

    @pytest.fixture
    def files(self, place: Place) -> Files:
        return Files(place.url, **place.options)

    def test_what_was_said_is_read_as_it_was_written(self, files: Files) -> None:
        """Judgements are numbered from 0 in the order in which they were made."""
        assert read_judgements(files) == []
        made = [
            add_judgement(files, "ann", "reject", [ROW, CLUSTER], value="too small"),
            add_judgement(files, "bob", "merge", [CLUSTER], into_cluster=0),
            add_judgement(files, "ann", "undo", undoes=0),
        ]
        assert read_judgements(files) == made
        assert [said.number for said in made] == [0, 1, 2]
        assert made[0].created <= made[1].created <= made[2].created

    def test_writers_at_once_all_succeed(self, files: Files) -> None:
        """Eight writers get eight numbers, and nothing that one said is lost."""
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: add_judgement(files, f"p{n}", "tag", [ROW], value="good"), range(8)))
        assert sorted(said.number for said in made) == list(range(8))
        assert sorted(said.who for said in read_judgements(files)) == [f"p{n}" for n in range(8)]

    def test_a_record_that_arrived_counts_even_if_the_answer_was_lost(self, files: Files, monkeypatch: Any) -> None:
        """A put that reports an error, or that it was there already, is not made twice."""
        create = files.create

        def lost(path: str, data: bytes) -> bool:
            create(path, data)
            if lost_answers.pop():
                raise ConnectionResetError("answer lost")
            return False

        lost_answers = [False, True]
        monkeypatch.setattr(files, "create", lost)
        made = [add_judgement(files, "ann", "tag", [ROW], value="good") for _ in range(2)]
        assert read_judgements(files) == made

    def test_damage_is_found_and_set_aside(self, place: Place) -> None:
        """A changed record is an error until it is set aside; its number is not given again."""
        store = new_store(place.url, **place.options)
        for value in ("good", "bad"):
            add_judgement(store.files, "ann", "tag", [ROW], value=value)
        assert list(verify(store)) == []
        path = layout.judgement(1)
        store.files.write(path, store.files.read(path).replace(b'"bad"', b'"god"'))
        with pytest.raises(CorruptData, match="its digest differs from its content"):
            read_judgements(store.files)
        (damage,) = list(verify(store))
        assert damage is not None and (damage.node, damage.unit, damage.file) == ("", 1, path)
        assert list(verify(store, "grouping")) == []
        repair(store, damage)
        assert list(verify(store)) == []
        assert [said.value for said in read_judgements(store.files)] == ["good"]
        assert add_judgement(store.files, "ann", "tag", [ROW], value="bad").number == 2


def test_a_record_is_that_of_its_number(tmp_path: Path) -> None:
    """A record that was copied to another number is damaged, and so is an undo of nothing."""
    files = Files(str(tmp_path))
    add_judgement(files, "ann", "tag", [ROW], value="good")
    files.write(layout.judgement(7), files.read(layout.judgement(0)))
    files.write(layout.judgement(8), Judgement(8, "ann", "undo", undoes=5).to_json())
    problems = dict(judgement_problems(files))
    assert "it is the record of judgement 0" in problems[7]
    assert problems[8] == "it takes back judgement 5, which is not there"
    files.write(layout.judgement(9), json.dumps({"number": 9}).encode())
    with pytest.raises(CorruptData, match="not a judgement as it was written"):
        Judgement.from_json(files.read(layout.judgement(9)), 9)


@pytest.mark.parametrize(
    ("kind", "subjects", "said", "problem"),
    [
        ("praise", [ROW], {}, "expected one of reject, tag"),
        ("tag", [ROW], {}, "the text is empty"),
        ("tag", [], {"value": "x"}, "expected 1 to"),
        ("tag", [Subject("labels", "f00d")], {"value": "x"}, "neither an image nor a cluster"),
        ("tag", [ROW], {"value": "x" * 501}, "longer than 500"),
        ("tag", [ROW], {"value": "a\x1b[31m"}, "cannot be printed"),
        ("name", [ROW], {"value": "wheel"}, "only clusters"),
        ("merge", [CLUSTER], {}, "another one of its class"),
        ("merge", [CLUSTER], {"into_cluster": 1}, "another one of its class"),
        ("undo", [ROW], {"undoes": 0}, "names one judgement"),
        ("undo", [], {"undoes": 4}, "there is no such judgement"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, kind: str, subjects: list[Subject], said: dict[str, Any], problem: str
) -> None:
    """The error says what is wrong, and nothing is written."""
    with pytest.raises(UsageError, match=problem):
        add_judgement(Files(str(tmp_path)), "ann", kind, subjects, **said)
    assert list(tmp_path.rglob("*.json")) == []
    with pytest.raises(UsageError, match="nobody is named"):
        add_judgement(Files(str(tmp_path)), " ", "tag", [ROW], value="x")


def test_a_judgement_is_taken_back_once(tmp_path: Path) -> None:
    """Neither a judgement that was taken back nor an undo can be taken back."""
    files = Files(str(tmp_path))
    add_judgement(files, "ann", "tag", [ROW], value="x")
    add_judgement(files, "ann", "undo", undoes=0)
    with pytest.raises(UsageError, match="taken back already"):
        add_judgement(files, "ann", "undo", undoes=0)
    with pytest.raises(UsageError, match="an undo cannot be taken back"):
        add_judgement(files, "ann", "undo", undoes=1)


def test_one_row_per_thing_that_was_judged(tmp_path: Path) -> None:
    """What was said at once shares a number; an undo has one row, without a subject."""
    files = Files(str(tmp_path))
    add_judgement(files, "ann", "reject", [ROW, Subject("ingest", "cafe", 9), CLUSTER], value="odd")
    add_judgement(files, "bob", "undo", undoes=0)
    rows = judgement_rows(read_judgements(files))
    assert rows.schema == JUDGEMENTS.arrow_schema
    found = [(r["number"], r["who"], r["subject"], r["image_id"], r["cluster"], r["undoes"]) for r in rows.to_pylist()]
    assert found == [
        (0, "ann", "row", 5, -1, -1),
        (0, "ann", "image", 9, -1, -1),
        (0, "ann", "cluster", -1, 1, -1),
        (1, "bob", "", -1, -1, 0),
    ]
    assert judgement_rows([]).num_rows == 0


def test_a_temporary_file_among_the_records_is_garbage(tmp_path: Path) -> None:
    """What a killed writer left is no record, and ``pd gc`` lists it."""
    store = new_store(str(tmp_path / "store"))
    store.files.write(f"{layout.JUDGEMENTS}/{layout.TEMPORARY}ab", b"half")
    assert judgement_names(store.files) == []
    assert [item.path for item in find_garbage(Store(store.url), -1.0)] == [f"judgements/{layout.TEMPORARY}ab"]
