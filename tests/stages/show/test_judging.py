from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from pdstore.judgements import Subject
from schemas.catalog import catalog_of
from stages.show.judging import class_id_of, cluster_subject, last_judgement, person, subjects_where
from tests.judged_store import Judged


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path / "store")


def test_a_condition_chooses_images_objects_and_rows(judged: Judged) -> None:
    """What is chosen has the keys of the node's table, and the layer that the views show."""
    store, layers = judged.store, judged.current
    assert subjects_where(store, "ingest", "m.key = '2.jpg'") == (Subject("ingest", layers["ingest"], 2),)
    objects = subjects_where(store, "detic", "i.key = '1.jpg'")
    assert objects == tuple(Subject("detic", layers["detic"], 1, o) for o in range(2))
    rows = subjects_where(store, "labels", "m.image_id = 0 AND m.cluster > 2 -- the last ones")
    assert rows == tuple(Subject("labels", layers["labels"], 0, o, 3) for o in range(2))
    assert [s.kind for s in (*objects[:1], *rows[:1])] == ["object", "row"]


@pytest.mark.parametrize(
    ("node", "where", "problem"),
    [
        ("lables", "true", "Did you mean 'labels'"),
        ("ranking", "true", "which writes clusters"),
        ("labels", "m.image_id = 99", "no row of labels meets"),
        ("labels", "m.image = 1", "the query is not valid"),
        ("labels", "true); DROP VIEW labels; SELECT (1", "expected one statement"),
        ("labels", "m.image_id IN (SELECT 1 FROM read_csv('/etc/passwd'))", "no file but the store's own"),
    ],
)
def test_a_wrong_condition_is_refused(judged: Judged, node: str, where: str, problem: str) -> None:
    """The error says what is wrong; a condition can neither write nor read files."""
    with pytest.raises(UsageError, match=problem):
        subjects_where(judged.store, node, where)


def test_a_cluster_is_that_of_the_ranking(judged: Judged) -> None:
    """Whatever node names it: the ranking itself, its labels, or a model that learnt them."""
    expected = Subject("ranking", judged.current["ranking"], category_id=1, cluster=2)
    for node in ("ranking", "labels", "predict"):
        assert cluster_subject(judged.store, node, "dog", 2) == expected
    with pytest.raises(UsageError, match="no cluster 7 in ranking. Its clusters: 0, 1, 2, 3"):
        cluster_subject(judged.store, "labels", "dog", 7)
    with pytest.raises(UsageError, match="found 0"):
        cluster_subject(judged.store, "other", "dog", 2)


def test_a_class_has_a_name_an_external_id_and_a_number(judged: Judged) -> None:
    """All three name it; an unknown one is answered with the nearest name."""
    catalog = catalog_of(judged.store)
    assert class_id_of(catalog, "dog") == class_id_of(catalog, "1") == 1
    assert class_id_of(catalog, "-1") == -1
    with pytest.raises(UsageError, match="Did you mean 'cat'"):
        class_id_of(catalog, "cap")


def test_the_last_judgement_of_a_person(judged: Judged) -> None:
    """It is the last one that still holds; what others said does not count."""
    first = judged.say("tag", "ingest", image_id=0, value="x")
    second = judged.say("tag", "ingest", image_id=1, value="x")
    judged.say("tag", "ingest", who="bob", image_id=2, value="x")
    assert last_judgement(Store(judged.store.url), "ann") == second
    judged.say("undo", undoes=second)
    assert last_judgement(judged.store, "ann") == first
    with pytest.raises(UsageError, match="zoe has made no judgement"):
        last_judgement(judged.store, "zoe")
    assert person()
