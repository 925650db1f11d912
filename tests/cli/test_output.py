"""What verbs print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.output import print_json, print_table, say
from tests.cli.conftest import Pd, draw


def test_a_number_that_is_not_finite_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no NaN: readers other than Python's refuse it."""
    print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": ({"d": 2},)})
    text = capsys.readouterr().out
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text) == {"a": None, "b": [1.5, None], "c": [{"d": 2}]}


def test_lines_for_the_reader_leave_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads on stdout is not mixed with notes."""
    say("a note")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a note\n")


EVIL = "\x1b]0;owned\x07\x1b[2J"


def test_text_of_others_never_reaches_a_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells, headings and lines show control characters escaped; JSON spells them so that they come back."""
    print_table((f"a{EVIL}", "b"), [(f"x{EVIL}", "two\nlines")])
    say(EVIL)
    print_json({"key": f"{EVIL}\x7f\x9b"})
    out, err = capsys.readouterr()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out + err)
    assert r"x\x1b]0;owned\x07\x1b[2J" in out and r"two\nlines" in out and err == r"\x1b]0;owned\x07\x1b[2J" + "\n"
    assert json.loads(out[out.index("{") :]) == {"key": f"{EVIL}\x7f\x9b"}


def test_keys_and_classes_with_escape_sequences(
    pd: Pd, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, notes, errors and the report show them escaped; CSV and JSON have them exactly as the folder has them."""
    key = f"ca{EVIL}t/a{EVIL}.png"
    draw(tmp_path / "photos" / key, 0)
    (tmp_path / "photos" / f"ca{EVIL}t" / f"bad{EVIL}.png").write_bytes(b"no picture")
    monkeypatch.setenv("PD_STORE", str(tmp_path / "store"))
    made = pd("init", tmp_path / "store", "--images", tmp_path / "photos", "--preset", pipeline_file)
    ran = pd("--debug", "run", "--until", "grouping", "--max-error-rate", "0.2")
    table = pd("sql", "SELECT key, class_name FROM images")
    errors, show = pd("sql", "SELECT subject, detail FROM errors"), pd("--debug", "show", f"b{EVIL}.png")
    page = tmp_path / "page.html"
    assert pd("report", "--out", page).code == 0
    said = [text for result in (made, ran, table, errors, show) for text in (result.out, result.err)]
    for text in (*said, page.read_text()):
        assert "\x1b" not in text and "\x07" not in text
    assert r"ca\x1b]0;owned" in made.out and r"a\x1b]0;owned\x07\x1b[2J.png" in table.out and "error: " in show.err
    assert json.loads(pd("sql", "SELECT key FROM images", "--format", "json").out) == [{"key": key}]
    assert pd("sql", "SELECT key FROM images", "--format", "csv").out == f"key\n{key}\n"
