"""The command itself: fast help, lazy verbs, unexpected failures."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import VERBS, _failed
from tests.cli.conftest import Pd, assert_error

ROOT = Path(__file__).parents[2]
HEAVY = ("duckdb", "numpy", "pyarrow", "pydantic", "torch", "zarr", "rich")


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    """`pd --help` takes under half a second of processor time, start of Python included, because it loads no verb."""
    code = f"import sys, cli.main as m; m.run_command(['--help']); print([n for n in {HEAVY} if n in sys.modules])"
    seconds = []
    for _ in range(3):
        started = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        ended = os.times()
        seconds.append(ended.children_user + ended.children_system - started.children_user - started.children_system)
        assert done.stdout.splitlines()[-1] == "[]"
    assert min(seconds) < 0.5


UNUSED = ("PIL", "duckdb", "numcodecs", "pycocotools", "rich", "scipy", "torch", "transformers", "zarr")


def loaded(store: Path, *words: str) -> set[str]:
    """The modules that a process has loaded after ``pd`` with these words."""
    code = f"import sys, cli.main as m; c = m.run_command({list(words)}); print('modules', *sys.modules); sys.exit(c)"
    environment = {**os.environ, "PD_STORE": str(store)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "also"),
    [
        (("status", "--json"), set()),
        (("status",), {"rich"}),
        (("plan", "--json"), set()),
        (("sql", "SELECT 1 AS one", "--format", "json"), {"duckdb"}),
    ],
)
def test_a_verb_loads_no_library_that_it_does_not_need(store: Path, words: tuple[str, ...], also: set[str]) -> None:
    """A look at the store loads no Zarr, no masks and no pictures; SQL alone loads DuckDB, and a table alone rich."""
    assert loaded(store, *words) & set(UNUSED) == also


def test_status_loads_no_event_loop_and_no_scheduler(store: Path) -> None:
    """What shows the state of a store without jobs and overrides needs neither asyncio, nor YAML, nor Slurm's code."""
    assert not loaded(store, "status", "--json") & {"asyncio", "yaml", "cli.launchers.slurm.watching"}


def test_garbage_is_collected_once_a_verb_is_loaded(store: Path) -> None:
    """Collections are off while modules are loaded, and on again when the verb runs."""
    code = "import atexit, gc, cli.main as m; atexit.register(lambda: print(gc.isenabled()))"
    command = [sys.executable, "-c", f"{code}; m.main()", "status", "--json"]
    environment = {**os.environ, "PD_STORE": str(store)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_sql_loads_no_settings(store: Path) -> None:
    """A query needs neither the pipeline nor pydantic, with which settings are checked."""
    assert not loaded(store, "sql", "SELECT 1 AS one", "--format", "csv") & {"pydantic", "yaml", "stages.registry"}


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help_with_an_example(pd: Pd, verb: str) -> None:
    """Each verb is found, and its help shows how it is used."""
    result = pd(verb, "--help")
    assert result.code == 0
    if verb not in ("stage", "config"):
        assert f"  pd {verb}" in result.out and "Example" in result.out


@pytest.mark.parametrize(
    "words",
    [
        ("stage", "list"),
        ("stage", "run"),
        ("config", "show"),
        ("config", "set"),
        ("config", "edit"),
        ("config", "apply"),
        ("node", "add"),
    ],
)
def test_every_second_verb_has_help_with_an_example(pd: Pd, words: tuple[str, ...]) -> None:
    """The same holds for `pd stage` and `pd config`."""
    assert f"  pd {' '.join(words)}" in pd(*words, "--help").out


@pytest.mark.parametrize("words", [(), ("stage",), ("config",), ("weights",)])
def test_a_verb_alone_shows_its_help(pd: Pd, words: tuple[str, ...]) -> None:
    """The help goes to stderr with the exit code of a usage error, but is not printed as an error."""
    result = pd(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Usage: {' '.join(['pd', *words])} ") and "error" not in result.err


def test_an_unexpected_failure_is_one_line(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 1, and there is no traceback unless --debug or PD_DEBUG requests it."""

    def broken(*given: object) -> None:
        raise RuntimeError("the wheel came off")

    monkeypatch.setattr("cli.verbs.status.states", broken)
    result = pd("status")
    assert result.code == 1 and "Traceback" not in result.err
    assert result.err.startswith("error: RuntimeError: the wheel came off") and "--debug" in result.err
    assert "Traceback" in pd("--debug", "status").err
    monkeypatch.setenv("PD_DEBUG", "1")
    assert "Traceback" in pd("status").err


def test_an_unknown_verb_and_option(pd: Pd, store: Path) -> None:
    """The error names the nearest verb; for --store after the verb it says where to put it."""
    assert_error(pd("statis"), 2, "expected a verb, found 'statis'. Did you mean 'status'?")
    assert_error(pd("status", "--store", "x"), 2, "before the verb")
    assert_error(pd("run", "--wrokers", "2"), 2, "--wrokers", "pd run --help")


def test_an_error_of_every_rank_is_printed_once(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ranks of a training run into a usage error; only the first rank prints it, but all return its exit code."""
    monkeypatch.setenv("RANK", "1")
    quiet = pd("run", "groping")
    assert (quiet.code, quiet.out, quiet.err) == (2, "", "")
    monkeypatch.setenv("RANK", "0")
    assert_error(pd("run", "groping"), 2, "Did you mean 'grouping'?")


def test_a_verb_that_resembles_none_lists_all(pd: Pd) -> None:
    """Where no verb is near, the error lists every verb."""
    assert_error(pd("xyzzy"), 2, "expected a verb, found 'xyzzy'. The verbs are: ", *VERBS)


@pytest.mark.parametrize("words", [("status", "a\0b"), ("--store", "\0", "status"), ("show", "1", "--out=\0.png")])
def test_a_word_with_a_nul_is_a_wrong_request(pd: Pd, words: tuple[str, ...]) -> None:
    """No shell sends one, but a program that calls :func:`run_command` may."""
    assert_error(pd(*words), 2, "the character NUL", "\\x00")


def test_a_word_that_is_no_text_or_too_long_is_a_wrong_request(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 reach the program as lone surrogates; the system takes no name of 5,000 characters."""
    for error in (
        UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"),
        OSError(errno.ENAMETOOLONG, "File name too long", "a" * 5000),
    ):
        assert _failed(error, is_debug=False) == 2
