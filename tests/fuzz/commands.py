"""Command lines of the verbs that only read, and SQL, on a small store."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path

from cli.main import run_command
from tests.fuzz.mutations import mutated_text, mutated_words

__all__ = ["DOORS"]

_LINES = [
    ["status"],
    ["status", "--format", "json"],
    ["plan"],
    ["stage", "list"],
    ["config", "show"],
    ["config", "show", "ingest"],
    ["verify"],
    ["verify", "--node", "ingest"],
    ["sql", "SELECT key, reason FROM images LEFT JOIN errors USING (image_id) LIMIT 3"],
    ["sql", "SELECT count(*) FROM commits", "--format", "csv"],
    ["judge", "undo", "7"],
    ["show", "9", "--out", "no/such/folder.png"],
    ["gc"],
    ["weights", "check", "x.pkl"],
    ["eval-file", "a.json", "b.json"],
]
_WORDS = [
    "--format",
    "json",
    "--node",
    "ingest",
    "--help",
    "-1",
    "0",
    "images",
    "--limit",
    "--store",
    "x" * 300,
]
_QUERIES = [
    "SELECT * FROM images WHERE image_id < 2 ORDER BY key",
    "WITH a AS (SELECT count(*) AS n FROM objects) SELECT n, 'x' FROM a",
    "SELECT node, count(*) FROM commits GROUP BY ALL HAVING count(*) > 0",
    "EXPLAIN SELECT mask_area(rle) FROM objects",
    'SELECT "key" AS "a b" FROM images LIMIT 1',
]
_UNEXPECTED = "(unexpected; pd --debug"


def _store(folder: Path) -> Path:
    return folder.parent / "small store"


def _lines(folder: Path) -> list[bytes]:
    from tests.cli.conftest import PIPELINE, draw

    if not _store(folder).exists():
        (folder / "photos").mkdir(exist_ok=True)
        for number in range(3):
            draw(folder / f"photos/{number}.jpg", number)
        (folder / "p.yaml").write_text(PIPELINE)
        words = ["init", str(_store(folder)), "--images", str(folder / "photos"), "--preset", str(folder / "p.yaml")]
        _run(words)
        _run(["--store", str(_store(folder)), "run"])
    return [json.dumps(words).encode() for words in _LINES]


def _mutated_line(random: random.Random, lines: list[bytes]) -> bytes:
    return json.dumps(mutated_words(random, json.loads(random.choice(lines)), _WORDS)).encode()


def _read_line(folder: Path, data: bytes) -> None:
    words = json.loads(data)
    if words and words[0] in {line[0] for line in _LINES}:
        _run(["--store", str(_store(folder)), *words])
    else:
        # Another verb could write; what is no verb is refused before.
        _run([*words[:1], "--no-such-option"])


def _queries(folder: Path) -> list[bytes]:
    _lines(folder)
    return [query.encode() for query in _QUERIES]


def _mutated_query(random: random.Random, queries: list[bytes]) -> bytes:
    return mutated_text(random, random.choice(queries).decode()).encode(errors="surrogatepass")


def _ask(folder: Path, data: bytes) -> None:
    _run(["--store", str(_store(folder)), "sql", data.decode(errors="surrogatepass")])


def _run(words: list[str]) -> None:
    """Raises AssertionError if the command ends in an error that it did not expect, or obeys a control character."""
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = run_command(words)
    assert code in (0, 1, 2, 3, 4), f"exit code {code}"
    assert _UNEXPECTED not in said.getvalue() and "Traceback" not in said.getvalue(), said.getvalue()[-500:]
    assert "\x1b" not in said.getvalue() + ("" if "csv" in words else out.getvalue()), "an escape character is printed"


DOORS = {
    "command lines": (_lines, _mutated_line, _read_line, 1),
    "SQL": (_queries, _mutated_query, _ask, 1),
}
