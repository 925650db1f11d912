"""What commands ask of an object store, as its server counts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

from bench.filled_store import filled_store
from bench.requests import BUCKET, COUNT, CountingServer, blocks_of_crf, store_of_parts
from cli.main import run_command
from pdstore import Store, layout
from pdstore.commit import commit_attempt
from pdstore.files.patience import PatientS3

BLOCKS = 5
BOUND = 20


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingServer]:
    counting = CountingServer()
    for name, value in counting.environment.items():
        monkeypatch.setenv(name, value)
    # A client is kept for its arguments, among which is no address: that of the server before is closed.
    PatientS3.clear_instance_cache()
    yield counting
    counting.close()


def asked(server: CountingServer, url: str, *words: str) -> Counter[str]:
    server.reset()
    assert run_command(["--store", url, *words]) == 0, words
    return server.counts.copy()


def test_commands_that_read_ask_little_whatever_the_number_of_blocks(
    server: CountingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of thirteen layers, in at most 20 requests; a later command of the same user in fewer, with the same answer."""
    store = filled_store(tmp_path / "store", BLOCKS, 4)
    server.fill(tmp_path / "store", "filled")
    url = f"s3://{BUCKET}/filled"
    asked(server, url, "compact")
    monkeypatch.setenv("PD_CACHE", str(tmp_path / "another user"))
    capsys.readouterr()
    counts, said = {}, {}
    commands = {"first": ("sql", COUNT), "sql": ("sql", COUNT), "status": ("status",), "plan": ("plan",)}
    for name, words in commands.items():
        counts[name] = asked(server, url, *words).total()
        said[name] = capsys.readouterr().out
    assert all(count <= BOUND for count in counts.values()), counts
    assert counts["sql"] < counts["first"] and said["sql"] == said["first"]
    assert run_command(["--store", store.url, "sql", COUNT]) == 0 and capsys.readouterr().out == said["sql"]
    assert run_command(["--store", store.url, "status"]) == 0 and capsys.readouterr().out == said["status"]
    _commit_again(Store(url))
    one_more = asked(server, url, "status").total()
    assert one_more == counts["status"] + 1 and asked(server, url, "status").total() == counts["status"]
    capsys.readouterr()
    assert run_command(["--store", url, "sql", COUNT]) == 0 and capsys.readouterr().out == said["sql"]


def test_a_block_asks_twelve_times(server: CountingServer, tmp_path: Path) -> None:
    """It reads two inputs, writes its rows and its masks, and is claimed, announced and committed."""
    url = f"s3://{BUCKET}/pictures"
    store_of_parts(url, tmp_path, 6)
    counts = blocks_of_crf(server, url, 2)
    assert counts["PUT"] + counts["DELETE"] <= 2 * 6 and counts.total() <= 2 * 12, counts


def _commit_again(store: Store) -> None:
    """Withdraw a unit and commit the same rows: one unit is newer than the index."""
    layer = store.layer("crf", store.current()["crf"])
    manifest = layer.manifest(1)
    data = store.files.read(f"{manifest.folder}/rows.parquet")
    layer.withdraw(1)
    place = (store.files, "crf", layer.fingerprint, 1)
    commit_attempt(*place, {"rows.parquet": data}, rows=manifest.rows, inputs=manifest.inputs, started=0.0)
    assert store.files.names(layout.recent("crf", layer.fingerprint))
