from __future__ import annotations

import json

import pytest

from pdstore import Identity, layout
from pdstore.errors import UsageError
from pdstore.judgements import Subject, add_judgement
from schemas.tables import CLUSTERS
from stages.exchange.choice import Choice, categories_of, image_layer, mask_layer, named_selection


def chosen(masked, node: str, where: str = "true", selection=None) -> list[tuple[int, str]]:
    layer, images = masked.layer(node), image_layer(masked.store)
    found = []
    with Choice(layer, images, where, selection).open() as choose:
        for block in layer.units():
            rows = layer.read(block)
            numbers, names = choose(rows, images.read(block))
            found += [(int(rows["image_id"][n]), name) for n, name in zip(numbers, names, strict=True)]
    return found


def test_categories_are_all_classes_of_the_node_in_the_vocabulary_s_order(masked) -> None:
    """Classes of one name are told apart by their external ids; those outside the vocabulary come last."""
    found = categories_of(masked.store, masked.layer("the-labels"))
    dogs = ["dog (n00000002) 3", "dog (n00000002) 4", "dog (n00000003) 3", "dog (n00000003) 4"]
    assert [c.name for c in found] == ["cat 3", "cat 4", *dogs, "person 4"]
    assert [(c.class_id, c.cluster, c.wnid) for c in found][::6] == [(0, 3, "n00000001"), (-1, 4, "")]
    parts = {c.name: (c.thing, c.part) for c in categories_of(masked.store, masked.layer("the-parts"))}
    assert parts["cat left ear"] == ("cat", "left ear") and parts["cat part"] == ("cat", "")
    assert [c.name for c in categories_of(masked.store, masked.layer("the-proposals"))] == ["proposal"]


def test_a_condition_chooses_rows(masked) -> None:
    """The condition sees the columns of the mask, of its image, and the views of the store."""
    rows = masked.rows["the-labels"]
    assert [image for image, _ in chosen(masked, "the-labels")] == rows["image_id"].tolist()
    assert {image for image, _ in chosen(masked, "the-labels", "i.split = 'val'")} == {4, 5}
    assert {name for _, name in chosen(masked, "the-labels", "m.score > 0.65")} == {"person 4"}
    sql = "m.image_id IN (SELECT image_id FROM parts WHERE image_id > 1 AND node = m.node[:4] || 'parts')"
    assert {image for image, _ in chosen(masked, "the-labels", sql)} == {2, 4, 5}


def test_clusters_are_called_as_people_named_them(masked, own) -> None:
    """A merged cluster counts as the one that it is part of, with its name; a rejected one can be left out."""
    store, layer = own.store, own.layer("the-labels")
    clusters = store.declare("ranking", Identity("ranking", 1), CLUSTERS, "test")
    edited = Identity("labels", 9, {}, {}, {"clusters": clusters.fingerprint})
    named = store.declare("the-labels", edited, layer.table, "test")
    for unit in layer.units():
        named.commit(unit, layer.read(unit))
    store.files.write(
        layout.PIPELINE, json.dumps({"current": {**store.current(), "the-labels": named.fingerprint}}).encode()
    )
    about = {number: Subject("ranking", clusters.fingerprint, category_id=0, cluster=number) for number in (3, 4)}
    add_judgement(store.files, "ann", "name", [about[3]], value="left ear")
    before = len(chosen(own, "the-labels", "m.category_id = 0"))
    assert {name for _, name in chosen(own, "the-labels", "m.category_id = 0")} == {"cat 3 left ear", "cat 4"}
    add_judgement(store.files, "ann", "merge", [about[4]], into_cluster=3)
    listed = categories_of(store, named)
    assert next((c.name, c.cluster, c.part) for c in listed) == ("cat 3 left ear", 3, "left ear")
    assert [name for _, name in chosen(own, "the-labels", "m.category_id = 0")] == ["cat 3 left ear"] * before
    add_judgement(store.files, "ann", "reject", [about[4]])
    keys = "SELECT layer, image_id, object_id, label_id FROM labels_kept"
    kept = f"(m.layer, m.image_id, m.object_id, m.label_id) IN ({keys})"
    assert 0 < len(chosen(own, "the-labels", f"m.category_id = 0 AND {kept}")) < before


def test_a_selection_chooses_images(masked) -> None:
    """Only masks of the selection's images are chosen, and names() are those of the chosen masks."""
    selection = named_selection(masked.store, "chosen")
    assert {image for image, _ in chosen(masked, "the-objects", selection=selection)} == {5}
    choice = Choice(masked.layer("the-objects"), image_layer(masked.store), "m.category_id >= 0", selection)
    assert choice.names() == {"dog (n00000003)"}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("m.nothing > 1", "nothing"),
        ("true; DROP TABLE labels", "syntax error"),
        ("m.key IN (SELECT content FROM read_text('/etc/passwd'))", "may read no file"),
    ],
)
def test_a_wrong_condition_is_refused_before_any_block(masked, where: str, message: str) -> None:
    """An unknown column, a second statement and the reading of other files are errors at construction."""
    with pytest.raises(UsageError, match=message):
        Choice(masked.layer("the-labels"), image_layer(masked.store), where)


def test_a_condition_that_fails_on_a_value_is_an_error_of_the_user(masked) -> None:
    """A conversion that fails in some row names the condition."""
    with pytest.raises(UsageError, match="condition .m.category_name.*fails on a row"):
        chosen(masked, "the-objects", "m.category_name::INTEGER = 1")


def test_names_that_do_not_exist_are_refused_with_the_nearest(masked, own) -> None:
    """A wrong node, a node of another table and a wrong selection say what there is."""
    with pytest.raises(UsageError, match="Did you mean 'the-labels'"):
        mask_layer(masked.store, "the-label", "here")
    with pytest.raises(UsageError, match="expected a node that writes objects, found the-parts, which writes parts"):
        mask_layer(masked.store, "the-parts", "here", ("objects",))
    own.store.files.remove("selections/" + own.store.files.names("selections")[0])
    with pytest.raises(UsageError, match="no selection 'x'. A training freezes one"):
        named_selection(own.store, "x")
    with pytest.raises(UsageError, match="Did you mean 'chosen'"):
        named_selection(masked.store, "chose")
