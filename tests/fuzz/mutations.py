"""Seeded mutations: of bytes, of JSON values, of text, of command lines."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

__all__ = ["mutated_bytes", "mutated_json", "mutated_text", "mutated_words"]

_NUMBERS = [0, 1, -1, 2, 7, 127, 255, 256, 65_535, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**63, 10**12, 10**30]
_VALUES: list[Any] = [
    *_NUMBERS,
    None,
    True,
    False,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "0",
    "a" * 5000,
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a\0b",
    "\x1b[2J\x1b]0;x\x07",
    "'; DROP TABLE x; --",
    "<script>alert(1)</script>",
    "=1+1",
    "\ud800",
    "ﬀ\u202e",
    [],
    {},
    [[]],
    [1, 2],
    {"a": 1},
]
_TEXTS = [value for value in _VALUES if isinstance(value, str)] + [
    "&a [*a, *a]",
    "*a",
    "!!python/object/apply:os.system [x]",
    "[" * 500,
    "{a: " * 300,
    "1:" * 50,
    "9" * 5000,
    "2001-99-99",
    "\t",
    "---\n",
    "? ",
    "null",
]


def mutated_bytes(random: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Flipped bits, changed numbers, cuts, repeats, and pieces of other files; one to four of them."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 4])):
        size = len(changed)
        at, stop = sorted((random.randint(0, size), random.randint(0, size)))
        kind = random.randrange(8)
        if kind == 0 and size:
            changed[at % size] ^= 1 << random.randrange(8)
        elif kind == 1 and size:
            changed[at % size] = random.choice([0, 1, 127, 128, 255, random.randrange(256)])
        elif kind == 2:
            number = random.choice(_NUMBERS) % 2**64
            width = random.choice([2, 4, 8])
            order = random.choice(["little", "big"])
            changed[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, order)  # type: ignore[arg-type]
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            del changed[at : min(stop, at + 64)]
        elif kind == 5:
            changed[at:at] = changed[at : min(stop, at + 256)] * random.choice([1, 2, 50])
        elif kind == 6:
            changed[at : at + 32] = random.randbytes(random.randrange(64))
        elif others:
            other = random.choice(others)
            first = random.randint(0, len(other))
            changed[at : at + 64] = other[first : first + 64]
    return bytes(changed)


def mutated_json(random: random.Random, value: Any) -> bytes:
    """The JSON text of a value in which one to three places are changed; sometimes the text itself is damaged."""
    changed = copy.deepcopy(value)
    for _ in range(random.choice([1, 1, 2, 3])):
        changed = _changed(random, changed)
    text = json.dumps(changed, ensure_ascii=True)
    if random.random() < 0.03:
        deep = random.choice([10, 900, 20_000])
        text = text.replace("1", "[" * deep + "]" * deep, 1)
    data = text.encode()
    return mutated_bytes(random, data) if random.random() < 0.1 else data


def mutated_text(random: random.Random, text: str) -> str:
    """A text in which words or lines are changed, repeated, left out or replaced."""
    pieces = text.splitlines(keepends=True) if "\n" in text and random.random() < 0.5 else list(text)
    for _ in range(random.choice([1, 2, 3])):
        at = random.randint(0, max(0, len(pieces) - 1))
        kind = random.randrange(5)
        if kind == 0 and pieces:
            del pieces[at]
        elif kind == 1:
            pieces.insert(at, random.choice(_TEXTS))
        elif kind == 2 and pieces:
            pieces[at] = random.choice(_TEXTS)
        elif kind == 3 and pieces:
            pieces.insert(at, random.choice(pieces) * random.choice([1, 3]))
        elif pieces:
            pieces[at] = chr(random.choice([0, 9, 10, 27, 34, 39, 58, 91, 123, 0x2028, random.randrange(1, 256)]))
    return "".join(pieces)


def mutated_words(random: random.Random, words: Sequence[str], more: Sequence[str]) -> list[str]:
    """A command line with changed, added, missing, or exchanged words."""
    changed = list(words)
    for _ in range(random.choice([1, 1, 2])):
        at = random.randint(0, max(0, len(changed) - 1))
        kind = random.randrange(5)
        if kind == 0 and changed:
            changed[at] = mutated_text(random, changed[at])
        elif kind == 1:
            changed.insert(at, random.choice(more))
        elif kind == 2 and changed:
            del changed[at]
        elif kind == 3 and changed:
            changed[at] = random.choice(more)
        else:
            changed.insert(at, str(random.choice(_VALUES)))
    return changed


def _changed(random: random.Random, value: Any) -> Any:
    """One place of the value, at any depth, is replaced, repeated, or taken away."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        kind = random.random()
        if kind < 0.1:
            del value[key]
        elif kind < 0.15:
            value[str(random.choice(_VALUES))] = value[key]
        else:
            value[key] = _changed(random, value[key])
        return value
    if isinstance(value, list) and value and random.random() < 0.85:
        at = random.randrange(len(value))
        kind = random.random()
        if kind < 0.1:
            del value[at]
        elif kind < 0.2:
            value.insert(at, copy.deepcopy(random.choice(value)))
        else:
            value[at] = _changed(random, value[at])
        return value
    if isinstance(value, int) and not isinstance(value, bool) and random.random() < 0.5:
        return random.choice([value + 1, value - 1, -value, value * 1000, 10**9, *_NUMBERS])
    if isinstance(value, str) and random.random() < 0.5:
        return mutated_text(random, value)
    return copy.deepcopy(random.choice(_VALUES))
