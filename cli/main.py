"""The command ``pd``: loads only the called verb's module, and turns every failure into one line and an exit code."""

from __future__ import annotations

import difflib
import errno
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

__all__ = ["VERBS", "main", "pd", "run_command"]

VERBS: dict[str, tuple[str, str]] = {
    "init": ("cli.verbs.init", "Make a store for a folder of images."),
    "run": ("cli.verbs.run", "Run every node that is not done, in order."),
    "stage": ("cli.verbs.stage", "List the nodes, or run one of them."),
    "plan": ("cli.verbs.plan", "Show which units would run, and why."),
    "status": ("cli.verbs.status", "Show what is done, running, stale or failed."),
    "sql": ("cli.verbs.sql", "Query the tables of the store."),
    "show": ("cli.verbs.show", "Draw an image with the masks of every node."),
    "eval": ("cli.verbs.evaluate", "Run the evaluations and print their numbers."),
    "eval-file": ("cli.verbs.eval_file", "Score a file of predictions against a file of ground truth."),
    "view": ("cli.verbs.view", "Look at the store in a browser."),
    "report": ("cli.verbs.report", "Write a web page with results, pictures and monitors."),
    "judge": ("cli.verbs.judge", "Reject, tag, name or merge labels."),
    "export": ("cli.verbs.exchange.export", "Write the masks of a node in another program's format."),
    "import": ("cli.verbs.exchange.import_", "Add a node that reads masks from another program's file."),
    "doctor": ("cli.verbs.upkeep.doctor", "Check the machine and the storage before a run."),
    "verify": ("cli.verbs.upkeep.verify", "Check every committed file."),
    "compact": ("cli.verbs.upkeep.compact", "Gather commits and rows into few large files."),
    "gc": ("cli.verbs.upkeep.gc", "List or delete files that no commit refers to."),
    "node": ("cli.verbs.node", "Add a node to the pipeline."),
    "config": ("cli.verbs.config", "Show or change the settings."),
    "weights": ("cli.verbs.weights", "Check, convert or export weights."),
    "predict": ("cli.verbs.exchange.predict", "Run a trained part model on any pictures."),
    "demo": ("cli.verbs.demo", "Run the whole pipeline on drawn images."),
}
"""Verb -> (module that holds its ``command``, help text). The module is loaded when the verb is called."""

INTERRUPTED = 130
PREEMPTED = 75
BROKEN_PIPE = 1
KEPT = "Committed work is kept: run the same command again to continue."


class LazyGroup(click.Group):
    """Lists the verbs from a literal and imports a verb's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(VERBS[name][0])
        gc.enable()
        if signal.getsignal(signal.SIGINT) is _stopped_while_loading:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            close = difflib.get_close_matches(args[0], VERBS, 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"The verbs are: {', '.join(VERBS)}."
            raise click.UsageError(f"expected a verb, found {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--store", metavar="URL", envvar="PD_STORE", help="The store: a folder or an fsspec URL. [env: PD_STORE]")
@click.option("--debug", is_flag=True, envvar="PD_DEBUG", help="Show the traceback of an unexpected failure.")
@click.version_option(package_name="pdstore", prog_name="pd", message="%(prog)s %(version)s")
@click.pass_context
def pd(ctx: click.Context, store: str | None, debug: bool) -> None:
    """PartDistillation on one Zarr store that DuckDB indexes.

    \b
    A first run, with your own images and without any weights:
      pd init parts --images photos
      pd --store parts run
      pd --store parts show 0

    The store is --store, else PD_STORE, else the current folder if it is a store.
    Data goes to stdout, progress to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 stale settings,
    4 partly failed, 75 preempted, 130 interrupted.
    """
    ctx.obj = {"store": store or ""}


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run ``pd`` with the given arguments, or with those of the process. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if null := next((word for word in words if "\0" in word), None):
        problem = f"expected words of a command line, found {null!r}: no path, name or query holds the character NUL"
        return _usage(click.UsageError(problem))
    try:
        result = pd.main(words, prog_name="pd", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt):
        _say(f"interrupted. {KEPT}")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has read enough. Without this, Python complains again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except Exception as error:
        return _failed(error, is_debug="--debug" in words or bool(os.environ.get("PD_DEBUG")))


def main() -> None:
    """The entry point of the command ``pd``."""
    # Set before the verb's module is loaded, which takes a second: `pd run` catches signals only once it is running.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in `nohup pd run &`
            signal.signal(number, _stopped_while_loading)
    # No plugin of pydantic is meant for our settings, and to look for some takes as long as to check them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Modules are loaded without collections, which find nothing in them and take a tenth of our start.
    gc.disable()
    sys.exit(run_command())


def _stopped_while_loading(number: int, frame: FrameType | None) -> None:
    # Exit without raising: an import in progress may swallow an exception or turn it into another. The store survives a
    # kill at any point.
    os.write(sys.stderr.fileno(), f"error: {signal.Signals(number).name}. {KEPT}\n".encode())
    os._exit(INTERRUPTED if number == signal.SIGINT else PREEMPTED)


def _usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr, flush=True)
        return error.exit_code
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help." if context is not None else ""
    if getattr(error, "option_name", "") == "--store":
        hint = " Put it before the verb: pd --store STORE VERB."
    message = error.format_message().rstrip(" .!")
    _say(message + ("" if message.endswith("?") else ".") + hint)
    return error.exit_code


def _failed(error: Exception, is_debug: bool) -> int:
    # Imported here: `pd --help` must not wait for DuckDB and Zarr.
    from pdstore.errors import PdError, Preempted, UsageError, printable

    if is_debug:
        print(printable("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    from stages.run.no_memory import no_memory

    error = no_memory(error) or error
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        _say(f"the name of a file is too long: {str(error.filename)[:80]}…. Give a shorter one.")
        return UsageError.exit_code
    if isinstance(error, OSError) and not isinstance(error, PdError) and error.errno is not None:
        from pdstore.files.refusals import read_failure

        error = read_failure(error)
    if isinstance(error, PdError):
        # Every rank of a training runs into these errors; only the first rank prints them.
        is_repeated = type(error) in (PdError, Preempted, UsageError) and int(os.environ.get("RANK", "0")) > 0
        if not is_repeated:
            _say(str(error))
        return error.exit_code
    if isinstance(error, UnicodeEncodeError):
        _say(f"expected text in UTF-8, found {error.object[error.start : error.end]!r}. Write it in UTF-8.")
        return UsageError.exit_code
    text = str(error).strip() or "no message"
    _say(f"{type(error).__name__}: {text} (unexpected; pd --debug VERB … shows the traceback)")
    return 1


def _say(text: str) -> None:
    if not text.isprintable():
        # Imported only if needed: an unknown verb must not wait for DuckDB and Zarr.
        from pdstore.errors import printable

        text = printable(text)
    print(f"error: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
