import argparse
import collections
import os
import pickle
import re
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore.errors import CorruptData, InputMissing
from stages.models.pickles import read_content, read_tensors

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float16": np.ones((2, 2), np.float16),
    "float64, other byte order": np.arange(3, dtype=">f8"),
    "int64": np.arange(4),
    "bool": np.array([True, False]),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.float64(0.5),
    "transposed": np.arange(6.0).reshape(2, 3).T,
}


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_come_back_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    """Shape, type and values are kept, in native byte order; entries other than the model are ignored."""
    content = {"model": {n: a for n, a in ARRAYS.items() if n != "scalar"}, "iteration": 7, "loss": np.float64(0.5)}
    found = read_tensors(write(tmp_path / "a.pkl", content, protocol))
    for name, tensor in found.items():
        assert tensor.shape == ARRAYS[name].shape
        assert np.array_equal(tensor.numpy(), ARRAYS[name])


def test_files_of_numpy_1_and_2_are_alike(tmp_path: Path) -> None:
    """The internal module of NumPy was renamed; both names work, for arrays, scalars and buffers."""
    for protocol in (2, 5):
        written = pickle.dumps({"a": ARRAYS["float32"], "s": np.float32(2)}, protocol=protocol)
        assert b"numpy._core" in written
        # The name is one character shorter, so the length before it in newer protocols is adjusted.
        older = re.sub(rb"(?s)(.)(numpy\._core\.)", lambda m: _shorter(m[1]) + b"numpy.core.", written)
        older = _without_frames(older)
        (tmp_path / "old.pkl").write_bytes(older)
        found = read_tensors(tmp_path / "old.pkl")
        assert np.array_equal(found["a"].numpy(), ARRAYS["float32"]) and found["s"].item() == 2


def _shorter(length: bytes) -> bytes:
    """The length byte of a short text, minus one; in older protocols, the opcode before the name is kept."""
    return length if length == b"c" else bytes([length[0] - 1])


def _without_frames(written: bytes) -> bytes:
    return written[:2] + written[11:] if written[2:3] == b"\x95" else written


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_tensors_in_a_plain_pickle_come_back(protocol: int, tmp_path: Path) -> None:
    """A state dict pickled without torch.save is read, including views and parameters."""
    state = torch.nn.Linear(3, 2).state_dict()
    content = {**state, "row": torch.arange(6.0).view(2, 3)[1], "parameter": torch.nn.Parameter(torch.ones(2))}
    found = read_tensors(write(tmp_path / "a.pkl", content, protocol))
    assert all(torch.equal(found[name], value) for name, value in content.items())


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_of_torch_save_come_back_under_any_name(is_zip: bool, tmp_path: Path) -> None:
    """Both layouts of torch.save are detected from the content."""
    torch.save({"model": {"a": torch.ones(3)}}, tmp_path / "a.pkl", _use_new_zipfile_serialization=is_zip)
    assert torch.equal(read_tensors(tmp_path / "a.pkl")["a"], torch.ones(3))


MODEL = {"weight": torch.arange(4.0)}
WRAPPED = {
    "model": {"model": MODEL},
    "state_dict": {"state_dict": MODEL, "epoch": 3},
    "model_state_dict": {"model_state_dict": MODEL, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "both": {"model": {"state_dict": MODEL}},
    "mmengine": {"meta": {"epoch": 1}, "state_dict": MODEL, "message_hub": {"lr": np.ones(3), "loss": np.float32(1)}},
    "bare": MODEL,
}


@pytest.mark.parametrize("how", ["zip", "old", "plain"])
@pytest.mark.parametrize("name", WRAPPED)
def test_the_model_is_found_in_what_a_training_wrote(name: str, how: str, tmp_path: Path) -> None:
    """Under each usual key, nested or not, with NumPy numbers and arrays beside it."""
    content = WRAPPED[name] if name == "bare" else {**WRAPPED[name], "best": np.float64(3.2), "at": np.arange(2)}
    if how == "plain":
        write(tmp_path / "a.pth", content)
    else:
        torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=how == "zip")
    assert torch.equal(read_tensors(tmp_path / "a.pth")["weight"], MODEL["weight"])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "u1", "b1"])
def test_numpy_numbers_of_every_type_are_no_obstacle(dtype: str, tmp_path: Path) -> None:
    """A scalar of any plain type beside the model, in a file of torch.save."""
    torch.save({"model": MODEL, "metric": np.ones(1, dtype)[0]}, tmp_path / "a.pth")
    assert list(read_tensors(tmp_path / "a.pth")) == ["weight"]


@pytest.mark.parametrize("how", ["torch.save", "plain"])
def test_logs_and_arguments_beside_the_model_are_passed_over(how: str, tmp_path: Path) -> None:
    """Objects that trainings are known to note; in the place of a tensor they are refused."""
    noted: dict[str, Any] = {
        "args": argparse.Namespace(lr=1.0, out=Path("/x")),
        "log": collections.defaultdict(list, {"loss": [1.0]}),
    }
    for content, is_sound in (({"model": MODEL, **noted}, True), ({"model": {**MODEL, **noted}}, False)):
        if how == "plain":
            write(tmp_path / "a.pth", content)
        else:
            torch.save(content, tmp_path / "a.pth")
        if is_sound:
            assert list(read_tensors(tmp_path / "a.pth")) == ["weight"]
        else:
            with pytest.raises(CorruptData, match="args, which is not an array but PassedOver"):
                read_tensors(tmp_path / "a.pth")


class HistoryBuffer:
    """As mmengine's: its state has an array and names methods of the class."""

    def __init__(self) -> None:
        self.history, self.methods = np.ones(3), {"mean": HistoryBuffer.mean}

    def mean(self) -> None: ...


@pytest.mark.parametrize("how", ["torch.save", "plain"])
def test_the_log_of_mmengine_is_passed_over(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buffers name their own methods through getattr, which is not carried out."""
    module = types.ModuleType("mmengine.logging.history_buffer")
    monkeypatch.setattr(HistoryBuffer, "__module__", module.__name__)
    monkeypatch.setattr(HistoryBuffer.mean, "__module__", module.__name__)
    module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    content = {"state_dict": MODEL, "message_hub": {"log_scalars": {"loss": HistoryBuffer()}}}
    if how == "plain":
        write(tmp_path / "a.pth", content, 2)
    else:
        torch.save(content, tmp_path / "a.pth")
    assert b"getattr" in (tmp_path / "a.pth").read_bytes()
    assert list(read_tensors(tmp_path / "a.pth")) == ["weight"]


def test_objects_in_numpy_arrays_are_refused_beside_the_model(tmp_path: Path) -> None:
    """Only numbers: an array of objects or structures in a file of torch.save runs and reads nothing."""
    for array in (np.array([Hostile(os.system, "true")], object), np.zeros(2, [("a", "f4")])):
        torch.save({"model": MODEL, "extra": array}, tmp_path / "a.pth")
        with pytest.raises(CorruptData, match=r"not of numbers|asks for"):
            read_tensors(tmp_path / "a.pth")


class Hostile:
    """An ordinary unpickler would create a file."""

    def __init__(self, function: Any, *values: Any) -> None:
        self.call = function, values

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("suffix", ["pkl", "pth"])
@pytest.mark.parametrize("how", ["system", "eval", "in an object array", "torch.save", "old torch.save"])
def test_a_hostile_pickle_runs_nothing(how: str, suffix: str, tmp_path: Path) -> None:
    """One error names what it asked for, and the file that it would have created does not exist."""
    owned, path = tmp_path / "owned", tmp_path / f"hostile.{suffix}"
    attack: Any = Hostile(os.system, f"touch {owned}")
    if how == "eval":
        attack = Hostile(eval, f"open({str(owned)!r}, 'w')")
    elif how == "in an object array":
        attack = np.array([attack, 1], object)
    content = {"model": {"weight": attack}}
    if "torch.save" in how:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch.save")
    else:
        write(path, content)
    with pytest.raises(CorruptData, match=r"asks for (posix\.system|builtins\.eval)|array of 'O8'"):
        read_tensors(path)
    assert not owned.exists()
    if how == "system":
        pickle.loads(path.read_bytes())
        assert owned.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\ndtype\n(S'O8'\ntR.",  # an object type
        b"cnumpy\ndtype\n(S'V8'\ntR(I3\nS'|'\nN(S'a'\nt(dI8\nI1\nI0\ntb.",  # a structure
        b"cnumpy\ndtype\n(S'f4'\ntR(I3\nS'|'\nN(S'a'\nt(dI8\nI1\nI0\ntb.",  # a structure in disguise
        b"cnumpy._core.multiarray\n_reconstruct\n}S'_function'\ncbuiltins\nbytes\nsb.",  # changes a function
        b"cnumpy\ndtype\n}S'__class__'\nI1\nsb.",  # changes a type
        b"cnumpy\nndarray\n)\x81.",  # makes an object of a class
        b"cnumpy.core.numeric\n_frombuffer\n(V1234\ncnumpy\ndtype\n(S'f4'\ntR(I1\ntS'C'\ntR.",  # bytes that are text
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRc_codecs\nencode\n(V12\nS'latin1'\ntRtR.",  # short
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"cbuiltins\nbytes\n(I9999999999\ntR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(NI0\n(I4\nt(I1\ntI00\nNtR.",
        b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
        b"P1\n.",  # something outside the file
        b"(lp0\n.",
    ],
)
def test_tricks_with_what_is_allowed_are_refused(program: bytes, tmp_path: Path) -> None:
    """Allowed names only make arrays of numbers: they cannot be modified, inspected or misled."""
    (tmp_path / "a.pkl").write_bytes(program)
    with pytest.raises(CorruptData, match="expected a checkpoint that holds only arrays and containers"):
        read_tensors(tmp_path / "a.pkl")


def test_a_tensor_stays_inside_its_storage(tmp_path: Path) -> None:
    """A shape, offset or stride beyond the end of the storage reads no foreign memory."""
    good = pickle.dumps({"a": torch.arange(4.0)}, protocol=2)
    place = b"K\x00K\x04\x85q\x0bK\x01\x85"  # offset 0, size (4,), stride (1,)
    assert good.count(place) == 1
    for old, new in ((b"K\x04", b"K\x05"), (b"K\x00", b"K\x01"), (b"K\x01", b"K\x02")):
        (tmp_path / "a.pkl").write_bytes(good.replace(place, place.replace(old, new)))
        with pytest.raises(CorruptData, match="larger than its storage"):
            read_tensors(tmp_path / "a.pkl")


def test_damaged_and_missing_files_are_different_errors(tmp_path: Path) -> None:
    """A truncated file or a mapping to anything but arrays is corrupt; a file that does not exist is missing."""
    path = write(tmp_path / "a.pkl", {"model": ARRAYS})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorruptData):
        read_tensors(path)
    with pytest.raises(CorruptData, match="found epoch, which is not an array but int"):
        read_tensors(write(path, {"epoch": 3}))
    with pytest.raises(CorruptData, match="found list instead of a mapping from names to arrays"):
        read_tensors(write(path, [1]))
    with pytest.raises(InputMissing, match="no such file"):
        read_tensors(tmp_path / "b.pkl")


def test_content_that_is_no_checkpoint_is_read_as_it_is(tmp_path: Path) -> None:
    """Text, numbers, tensors and NumPy's arrays, nested; from torch's files and from plain pickles alike."""
    content = {"name": "a", "masks": [{"size": [2, 3]}], "scores": np.array([0.5], np.float32), "of": torch.tensor([1])}
    torch.save(content, tmp_path / "a.pth")
    found = read_content(tmp_path / "a.pth")
    assert found["name"] == "a" and found["masks"] == [{"size": [2, 3]}] and found["of"].tolist() == [1]
    assert type(found["scores"]) is np.ndarray and found["scores"].dtype == np.float32
    with pytest.raises(CorruptData, match=r"asks for os\.|only arrays, text and containers"):
        read_content(write(tmp_path / "b.pkl", {"a": os.getcwd}))
    with pytest.raises(InputMissing, match="no such file"):
        read_content(tmp_path / "c.pth")


def test_several_threads_may_read_files(tmp_path: Path) -> None:
    """What torch allows for one file is not taken back while another thread still reads."""
    torch.save({"scores": np.ones(3, np.float32), "more": [torch.ones(2)] * 50}, tmp_path / "a.pth")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: read_content(tmp_path / "a.pth")["scores"].sum(), range(200)))
    assert found == [3.0] * 200
