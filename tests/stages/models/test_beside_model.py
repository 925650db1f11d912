from __future__ import annotations

import pickle

import pytest

from stages.models.beside_model import BESIDE, GETATTR, PassedOver, passed_over


def test_it_takes_everything_and_keeps_nothing() -> None:
    """Whatever a pickle does to an object leaves no trace, and no attribute can be set."""
    thing = PassedOver(1, a=2)
    thing[0] = 1
    thing.append(2)
    thing.extend([3])
    thing.__setstate__({"__class__": int})
    assert type(thing) is PassedOver and not hasattr(thing, "__dict__")
    with pytest.raises(AttributeError):
        thing.secret = 1  # type: ignore[attr-defined]


def test_no_attribute_is_looked_up() -> None:
    """The stand-in for getattr never touches what it is given."""
    assert type(passed_over(pickle, "loads")) is PassedOver


def test_no_name_can_do_anything() -> None:
    """Only classes that hold data are passed over: no functions of the system, of import or of evaluation."""
    assert not {name.rsplit(".", 1)[1] for name in {*BESIDE, *GETATTR}} & {
        "system",
        "eval",
        "exec",
        "Popen",
        "__import__",
    }
