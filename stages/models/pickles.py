"""Opens checkpoints that are pickles without trusting them.

A pickle is a program: it names functions and calls them. Here only the few names that pickled arrays need are known,
and they stand for functions of this module, which check their arguments. No function of NumPy or of the interpreter
is ever called on behalf of a pickle, and any other name makes the whole file be refused before any of it runs.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.errors import CorruptData, InputMissing
from stages.models.beside_model import BESIDE, GETATTR, passed_over
from stages.models.not_weights import check_pickle, checked_tensor, refuse_not_weights

__all__ = ["read_content", "read_tensors"]

_PLAIN = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
"""Types whose bytes are numbers. Object arrays, structures and dates are not among them."""
_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""The beginning of files of ``torch.save`` before they became zip archives."""
_ALONE = threading.Lock()
"""torch keeps the names that a file may use for the whole process, so that one thread would take them from another."""
_FIX = "Download the file from its publisher again, or convert it to safetensors where you trust it"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a checkpoint: ``{name: array}``, or such a mapping under ``model``, ``state_dict``, …

    Files of ``torch.save`` are read with ``weights_only=True``, plain pickles by the unpickler of this module. What a
    training has noted beside the model (NumPy numbers, its log, its arguments) is passed over.

    Raises:
        InputMissing: if there is no such file.
        CorruptData: if the file is damaged, holds no such mapping, or names anything but arrays and containers.
    """
    with _refusing(path, "a checkpoint that holds only arrays and containers", _FIX):
        refuse_not_weights(path)
        return _tensors(_read(path))


def read_content(path: Path) -> Any:
    """What a file of ``torch.save`` or a plain pickle holds: containers, numbers, text, tensors, and NumPy arrays.

    Raises: as :func:`read_tensors`. Several threads may read files at the same time.
    """
    fix = "Write the file again where it came from, or leave it out"
    with _refusing(path, "a file that holds only arrays, text and containers", fix):
        return _with_arrays(_read(path), {})


@contextlib.contextmanager
def _refusing(path: Path, expected: str, fix: str) -> Iterator[None]:
    """Raises InputMissing or CorruptData in place of anything that reading ``path`` raises."""
    try:
        yield
    except CorruptData:
        raise
    except FileNotFoundError:
        raise InputMissing("there is no such file", str(path), "Put the file there, or give its path") from None
    except Exception as error:  # a damaged or hostile file can fail in any way; in none of them is it of use
        found = " ".join(str(error).split())[:300] or type(error).__name__
        raise CorruptData(f"expected {expected}, found {found}", str(path), fix) from None


def _with_arrays(content: Any, done: dict[int, Any]) -> Any:
    """The content with arrays for what stands for them; what is referred to more than once is looked at once."""
    if isinstance(content, _Array):
        return content.array
    if isinstance(content, Tensor):
        return checked_tensor(content)
    if id(content) not in done and isinstance(content, dict):
        done[id(content)] = {key: _with_arrays(value, done) for key, value in content.items()}
    elif id(content) not in done and isinstance(content, list | tuple):
        done[id(content)] = [_with_arrays(value, done) for value in content]
    return done.get(id(content), content)


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        is_torch = zipfile.is_zipfile(file) or _first_bytes(file) == _TORCH
        file.seek(0)
        check_pickle(file, is_torch)
        file.seek(0)
        if not is_torch:
            return _Unpickler(file).load()
    try:
        # torch takes these functions for those that a file names. Of its own accord it would refuse NumPy's.
        with _ALONE, torch.serialization.safe_globals([(function, name) for name, function in _BESIDE_TORCH.items()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The message of torch recommends reading the file without the guard.
        name = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise _Refused(f"a pickle that asks for {name[1] if name else 'more'}; none of it was run") from None


def _first_bytes(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(len(_TORCH))


def _tensors(content: Any) -> dict[str, Tensor]:
    model = content
    for _ in range(_WRAPPINGS if isinstance(model, dict) else 0):
        inner = next((model[k] for k in _WRAPPERS if isinstance(model.get(k), dict)), None)
        model = model if inner is None else inner
    if not isinstance(model, dict) or not model:
        raise _Refused(f"{type(model).__name__} instead of a mapping from names to arrays")
    tensors = {}
    for name, value in model.items():
        if isinstance(value, _Array):
            value = value.array
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if not isinstance(value, Tensor):
            raise _Refused(f"{name}, which is not an array but {type(value).__name__}")
        tensors[str(name)] = checked_tensor(value.detach())
    return tensors


class _Refused(pickle.UnpicklingError):
    """The pickle asks for something that an array does not need. The message continues "found …"."""


class _Name:
    """Stands for a name in a pickle: it can be called, and nothing else can be done with it."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *values: Any) -> Any:
        return self._function(*values)

    def __setstate__(self, state: Any) -> NoReturn:
        raise _Refused("a pickle that changes a function")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise _Refused("a pickle that changes a function")


class _Dtype:
    """Stands for ``numpy.dtype``; an example of ``name`` is ``<f4``."""

    __slots__ = ("name",)

    def __init__(self, name: object, *rest: Any) -> None:
        if not isinstance(name, str) or not _PLAIN.fullmatch(name):
            raise _Refused(f"an array of {name!r}, not of numbers")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """NumPy's state: (version, byte order, subarray, names, fields, …), with three times None for numbers."""
        order = state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise _Refused("an array of structures, not of numbers")
        self.name = order + self.name.lstrip("<>|=")


class _Array:
    """Stands for a ``numpy.ndarray`` that is being filled."""

    __slots__ = ("array",)

    def __init__(self, *rest: Any) -> None:
        self.array = np.empty(0, np.float32)

    def __setstate__(self, state: Any) -> None:
        """NumPy's state: (version, shape, type, whether the order is column-major, bytes)."""
        _, shape, dtype, is_fortran, data = state
        self.array = _filled(data, dtype, shape, "F" if is_fortran else "C")


class _Ordered(dict[Any, Any]):
    """Stands for ``collections.OrderedDict``; the other attributes of a torch state dict are ignored."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        return


def _filled(data: Any, dtype: Any, shape: Any, order: Any = "C") -> npt.NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise _Refused("an array of objects, not of numbers")
    plain = np.dtype(dtype.name)
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise _Refused("an array without a shape")
    if len(data) != math.prod(shape) * plain.itemsize or order not in ("C", "F"):
        raise _Refused(f"an array of {len(data)} bytes with the shape {shape}")
    # The copy is needed: torch supports only the native byte order, and a tensor must be writable.
    return np.frombuffer(data, plain).reshape(shape, order=order).astype(plain.newbyteorder("="))


def _scalar(dtype: Any, data: Any) -> npt.NDArray[Any]:
    return _filled(data, dtype, ())


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.array = _filled(data, dtype, shape, order)
    return array


def _storage(data: Any) -> Tensor:
    """The flat tensor of a storage, which torch embeds as a file within the file."""
    if not isinstance(data, bytes):
        raise _Refused("a tensor without bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that storages are deprecated, which does not concern users
        storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return torch.empty(0, dtype=storage.dtype).set_(storage)


def _rebuilt(flat: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    """A tensor on a storage, checked to lie within it; ``rest`` says whether it needs a gradient, and holds hooks."""
    if not isinstance(flat, Tensor):
        raise _Refused("a tensor without a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
        raise _Refused("a tensor without a shape")
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if 0 not in size and (last >= flat.numel() or math.prod(size) > flat.numel()):
        raise _Refused("a tensor larger than its storage")
    return torch.as_strided(flat, size, stride, offset).clone()


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, as protocols 0 to 2 write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("bytes that are not latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Empty bytes, as the same protocols write them."""
    return b""


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
_NAMES: dict[str, Callable[..., Any]] = {
    **{f"numpy.{core}.{name}": function for core in ("core", "_core") for name, function in _NUMPY.items()},
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    "collections.OrderedDict": _Ordered,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.storage._load_from_bytes": _storage,
    "_codecs.encode": _encoded,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
}
_BESIDE_TORCH = {n: f for n, f in _NAMES.items() if n.startswith("numpy.")} | BESIDE
_BESIDE_TORCH |= dict.fromkeys(GETATTR, passed_over)
_WRAPPERS = ("model", "state_dict", "model_state_dict", "module", "network")
"""Keys under which trainings put the model's mapping, the likeliest first."""
_WRAPPINGS = 3


class _Unpickler(pickle.Unpickler):
    """Reads containers, numbers, text, and arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in BESIDE:
            return BESIDE[full]  # the class itself, because the pickle may make an object of it
        if full in GETATTR:
            return _Name(passed_over)
        if full not in _NAMES:
            raise _Refused(f"a pickle that asks for {full}; none of it was run")
        return _Name(_NAMES[full])

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused("a pickle that refers to another file")
