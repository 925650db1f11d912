"""Whether two stores hold the same: ``python -m tests.compare_stores ONE OTHER``.

Compares, node by node and unit by unit, the digests of what the current layers hold: tables, masks, vectors, networks.
Run times, hosts and the names of layers do not count. Ends with 1 if anything differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pdstore import Store

__all__ = ["contents", "differences"]

Contents = dict[str, dict[int, str]]


def contents(store: Store) -> Contents:
    """Node -> unit -> digest of its content, of the current layers."""
    return {
        node: {unit: manifest.content for unit, manifest in store.layer(node, fingerprint).manifests().items()}
        for node, fingerprint in store.current().items()
    }


def differences(one: Contents, other: Contents) -> Iterator[str]:
    """One line per node that is not the same in both."""
    for node in dict.fromkeys([*one, *other]):
        first, second = one.get(node, {}), other.get(node, {})
        units = [unit for unit in sorted(first.keys() | second.keys()) if first.get(unit) != second.get(unit)]
        if units:
            yield f"{node}: units {', '.join(map(str, units))} differ"


def main(one: str, other: str) -> int:
    first, second = contents(Store(one)), contents(Store(other))
    for line in (found := list(differences(first, second))):
        print(line)
    units = sum(map(len, first.values()))
    print(f"{len(first)} nodes, {units} units: {'equal' if not found else f'{len(found)} nodes differ'}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
