"""The command line: the verbs of `unmask.api` with the same names and defaults."""

import argparse
import json
import re
import sys
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from unmask import __version__
from unmask.train.stopping import REQUEUE, Stopped

MISTAKE, FAILURE = 2, 1  # exit statuses: something asked for that cannot be; something that broke on the way
INTERRUPTED = 130  # by Ctrl-C, where there is nothing to save


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb. A mistake gives one sentence on standard error and a non-zero status."""
    found, strangers = _parser().parse_known_args(arguments)
    options = vars(found)
    parser = options.pop("parser")
    if strangers:
        parser.error(_unknown(strangers[0], parser))
    verb, debug, as_json = options.pop("verb"), options.pop("debug"), options.pop("json", False)
    if "set" in options:
        options |= _settings(options.pop("set"), options)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warning  # type: ignore[assignment]
            return _call(verb, options, as_json)
    except Stopped as stop:
        return _refuse(str(stop), REQUEUE)
    except KeyboardInterrupt:
        return _refuse("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return FAILURE
    except Exception as error:
        if debug:
            raise
        mistake = isinstance(error, (ValueError, TypeError, FileNotFoundError, FileExistsError))
        return _refuse(_sentence(error), MISTAKE if mistake else FAILURE)


def _call(verb: str, options: dict[str, Any], as_json: bool) -> int:
    from unmask import api

    if "progress" in options and as_json:
        options["progress"] = False
    if "say" in _named(getattr(api, verb)):
        options["say"] = _to_stderr if as_json else print
    result = getattr(api, verb)(**options)
    if as_json:
        print(json.dumps(_plain(result), default=str))
    else:
        text = api.describe(verb, result)
        if text:
            print(text)
    return 0


def _named(function) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)


def _plain(result: Any) -> Any:
    """The result of a verb as JSON holds it; a path becomes {"out": path}."""
    if isinstance(result, Path):
        return {"out": str(result)}
    content = result.to_json() if hasattr(result, "to_json") else result
    return json.loads(content) if isinstance(content, str) else content


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _warning(message: Warning | str, *_) -> None:
    _to_stderr(f"unmask: warning: {message}")


def _sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, (ValueError, TypeError, OSError, RuntimeError, ImportError)):
        return text
    return f"{type(error).__name__}: {text}; --debug shows where"


def _settings(pairs: list[str], options: dict[str, Any]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SystemExit(_refuse(f"--set {pair!r} is not name=value, as in --set patch_size=8"))
        if name in options:
            raise SystemExit(_refuse(f"--set {name}: {name} is an option of its own, --{name.replace('_', '-')}"))
        settings[name] = value
    return settings


def _refuse(text: str, status: int = MISTAKE) -> int:
    print(f"unmask: {text}", file=sys.stderr)
    return status


def _unknown(name: str, parser: argparse.ArgumentParser) -> str:
    """What to say of an argument that the verb does not take."""
    options = set(re.findall(r"--[a-z][a-z-]+", parser.format_help()))
    near = get_close_matches(name.partition("=")[0], options, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    if "--set" in options and name.startswith("-"):
        hint += "; arguments of the method are given as --set NAME=VALUE"
    return f"argument {name} is unknown{hint}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise SystemExit(_refuse(f"{message}; `{self.prog} --help` shows the options"))


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("unmask", description="Masked pretraining on your own unlabelled data.")
    parser.add_argument("--version", action="version", version=f"unmask {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb", parser_class=_Parser)

    def verb(name: str, about: str, reports: bool = True) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about, allow_abbrev=False)
        added.set_defaults(parser=added)
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if reports:
            added.add_argument("--json", action="store_true", help="print the result as JSON, messages to stderr")
        return added

    one = verb("inspect", "Look at data: what is there, what is wrong, what training would do with it.")
    one.add_argument("data")
    one.add_argument("--out", help="save the data card here")
    one.add_argument("--all", action="store_true", dest="everything", help="measure every picture, not a sample")
    _data_options(one)
    one.add_argument("--method", default="mae")
    one.add_argument("--model")
    one.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")

    one = verb("pretrain", "Train a method on a folder, archive or named set of pictures.")
    one.add_argument("data")
    one.add_argument("--out", required=True, help="folder of the run")
    one.add_argument("--method", default="mae")
    one.add_argument("--model", help="vit_tiny ... vit_huge, or WIDTHxDEPTHxHEADS")
    one.add_argument("--epochs", type=float)
    one.add_argument("--steps", type=int)
    one.add_argument("--batch", type=int, help="effective batch")
    one.add_argument("--lr", type=float, help="base learning rate per 256 samples")
    one.add_argument("--warmup", type=float, help="epochs")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--init-from", help="weights to begin with: a released file, an export or a run")
    one.add_argument("--mask", help="what to hide instead of the method's choice: a word such as ncut, or a file")
    one.add_argument("--accumulation", type=int, default=1)
    one.add_argument("--precision", default="auto", help="auto, bf16 or fp32")
    one.add_argument("--device", default="auto")
    one.add_argument("--compile", action="store_true")
    one.add_argument("--clip", type=float, help="largest gradient norm")
    one.add_argument("--ema", type=float, help="decay of a moving average of the weights")
    one.add_argument("--workers", type=int, default=0)
    one.add_argument("--limit", type=int, help="train on at most so many pictures, chosen at random")
    one.add_argument("--bad-budget", type=float, default=0.001, help="share of unreadable pictures that is accepted")
    for name in ("save", "monitor", "log"):
        one.add_argument(f"--{name}-every", type=int, metavar="STEPS")
    one.add_argument("--trackers", type=_words, default=[], help="wandb, mlflow, trackio")
    one.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="arguments of the method")
    one.add_argument("--quiet", action="store_false", dest="progress", help="no progress bar")
    _data_options(one)

    one = verb("resume", "Continue a run from its newest valid checkpoint.")
    one.add_argument("run")
    one.add_argument("--data", help="the same data at another place")
    one.add_argument("--workers", type=int)
    one.add_argument("--device", default="auto")
    one.add_argument("--accept-data-change", action="store_true")
    one.add_argument("--quiet", action="store_false", dest="progress", help="no progress bar")

    one = verb("evaluate", "Measure the features of a run on labelled data.")
    one.add_argument("run")
    one.add_argument("data", nargs="?", help="default: the data of the run")
    one.add_argument("--with", type=_words, dest="probes", metavar="PROBES", help="default: what suits the data")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", default="auto")
    one.add_argument("--limit", type=int, help="use at most so many pictures of every part")
    one.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="options of a measure")
    for name, words in (("samples", "codes per picture, for likelihood"), ("horizon", "rows, for forecasting")):
        one.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS, help=words)
    one.add_argument("--no-pixels", action="store_false", dest="pixels", help="leave the raw pixels' baseline out")

    one = verb("finetune", "Fine-tune the encoder of a run on labelled data.")
    one.add_argument("run")
    one.add_argument("data", nargs="?")
    one.add_argument("--out", help="save the fine-tuned classifier here")
    one.add_argument("--epochs", type=int, default=100)
    one.add_argument("--batch", type=int, default=128)
    one.add_argument("--lr", type=float, default=5e-4, help="base learning rate per 256 samples")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", default="auto")
    one.add_argument("--quiet", action="store_false", dest="progress", help="no progress bar")

    one = verb("embed", "Write one feature vector per picture.")
    one.add_argument("run")
    one.add_argument("data", nargs="?")
    one.add_argument("--out", required=True, help="a .parquet or .npy file")
    one.add_argument("--block", type=int, help="block counted from 1; default: the last")
    one.add_argument("--tokens", action="store_true", help="one vector per place of every sample instead, as .npy")
    one.add_argument("--batch", type=int, default=64)
    one.add_argument("--device", default="auto")

    one = verb("view", "Draw what a run sees, hides and predicts.")
    one.add_argument("run")
    one.add_argument("data", nargs="?")
    one.add_argument("--out", help="default: view.png in the run folder")
    one.add_argument("--images", type=int, default=8)
    one.add_argument("--step", type=int, help="a snapshot's step; default: the newest checkpoint")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--masks", nargs="+", default=[], help="draw what these samplers would hide, side by side")

    one = verb("generate", "Write new pictures or text that a run invents.")
    one.add_argument("run")
    one.add_argument("--count", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", help="a file for all, or a folder; default: samples.png or .txt in the run folder")
    one.add_argument("--step", type=int, help="a snapshot's step; default: the newest checkpoint")
    one.add_argument("--device", default="auto")

    one.add_argument("--class", dest="label", metavar="CLASS", help="name or number of the class to make pictures of")

    one = verb("steer", "Write activations moved along the direction of a latent.")
    one.add_argument("run")
    one.add_argument("data", nargs="?", help="default: the data of the run")
    one.add_argument("--latent", type=int, required=True, help="its number, from 0")
    one.add_argument("--strength", type=float, default=5.0, help="how much stronger the latent is to be")
    one.add_argument("--out", required=True, help="a .npy file")

    one = verb("analyse", "Measure what every layer of a run has learned, with plots.")
    one.add_argument("run")
    one.add_argument("data", nargs="?")
    one.add_argument("--out", help="default: analysis in the run folder")
    one.add_argument("--images", type=int, default=64)

    one = verb("export", "Write the encoder for another library.")
    one.add_argument("run")
    one.add_argument("--to", required=True, help="timm, transformers, onnx or torch")
    one.add_argument("--out", required=True)
    one.add_argument("--encoder-only", action="store_true")

    one = verb("info", "Say what a checkpoint, run or weight file is.")
    one.add_argument("file")

    one = verb("methods", "List the systems, or show one.")
    one.add_argument("slug", nargs="?")

    one = verb("prove", "Run the small experiment that shows a system's claim.")
    one.add_argument("slug", nargs="?")
    one.add_argument("--study", help="instead of a system's, an experiment over many of them, such as masks")
    one.add_argument("--data", help="default: the data that the proof names, under $UNMASK_DATA")
    one.add_argument("--preset", default="small", help="small (2 cores) or full (GPU)")
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--out", default="results")
    one.add_argument("--cache", help="where runs are kept; default: the user's cache folder")
    one.add_argument("--device", default="auto")
    one.add_argument("--jobs", type=int, default=1, help="arms trained at the same time, with one thread each")
    return parser


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", help="part of the data, such as train")
    parser.add_argument("--channels", type=_words, help="names of the channels to use, in order")
    parser.add_argument("--fit", default="crop", help="crop, or pad with what is padded left out of the loss")
    parser.add_argument("--smallest", type=int, default=1, help="refuse pictures with a shorter side, in pixels")


if __name__ == "__main__":
    sys.exit(main())
