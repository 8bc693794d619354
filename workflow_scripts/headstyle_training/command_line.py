"""The command line of the small models.

python -m headstyle_training editor --out FOLDER [--minutes 20] [--checkpoint FOLDER]
python -m headstyle_training matting --out FOLDER
python -m headstyle_training perceptual --out FOLDER
python -m headstyle_training all --out FOLDER [--only matting editor]
python -m headstyle_training evaluate editor FOLDER [--write]
python -m headstyle_training evaluate matting --photographs FOLDER --masks FOLDER
python -m headstyle_training pairs --sheet FILE.jpg

Every setting of a training is an option; `python -m headstyle_training MODEL --help` lists them.
Modules that need torch are imported by what runs them, because worker processes import this one.
"""

import argparse
import ast
import inspect
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError

from headstyle_training.editor.settings import EditorSettings, Sample
from headstyle_training.heads.settings import PairCheck
from headstyle_training.matting.settings import MattingSettings
from headstyle_training.perceptual.settings import PerceptualSettings
from headstyle_training.settings import MODELS, settings_for

SETTINGS = {
    "editor": EditorSettings,
    "matting": MattingSettings,
    "perceptual": PerceptualSettings,
}
PURPOSES = {
    "editor": "train the mini editor",
    "matting": "train the mini matting",
    "perceptual": "train the mini perceptual metric",
}
KINDS: dict[Any, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    int | None: int,
    float | None: float,
    str | None: str,
    tuple[int, ...]: int,
    tuple[str, ...]: str,
}
"""What reads an option's text, by the type of the setting."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the command; bad input ends with one sentence and status 1."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
    options = vars(parser().parse_args(arguments))
    run = options.pop("run")
    try:
        run(options)
    except InputError as error:
        sys.exit(f"headstyle_training: {error}")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; the namespace's `run` takes the other options."""
    top = argparse.ArgumentParser(
        prog="python -m headstyle_training", description="Train and score the small models."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for model, kind in SETTINGS.items():
        one = _command(commands, model, PURPOSES[model], _train)
        one.set_defaults(model=model)
        add_settings(one, kind, device=best_device(), workers=_cores())
        one.add_argument("--out", type=Path, required=True, help="folder of the model")
        one.add_argument(
            "--checkpoint",
            type=Path,
            help="folder of checkpoints to continue from",
        )
        one.add_argument("--date", default="unknown", help="for the model card")
    _add_all(_command(commands, "all", "train all models on one set of heads", _train_all))
    evaluate = commands.add_parser("evaluate", help="score a model").add_subparsers(
        required=True, metavar="MODEL"
    )
    editor = _command(evaluate, "editor", "score a mini editor again", _evaluate_editor)
    editor.add_argument("folder", type=Path, help="the pipeline, with its evaluation/")
    add_settings(editor, Sample)
    editor.add_argument("--device", default=best_device(), help="cuda or cpu")
    editor.add_argument("--write", action="store_true", help="put the scores into the card")
    _add_photographs(_command(evaluate, "matting", "score rembg on given masks", _evaluate_matting))
    pairs = _command(commands, "pairs", "draw training pairs and measure their rate", _check_pairs)
    add_settings(pairs, PairCheck, workers=_cores())
    pairs.add_argument("--sheet", type=Path, help="JPEG file for a contact sheet")
    pairs.add_argument("--json", type=Path, help="file for the rates")
    pairs.add_argument("--device", default=best_device(), help="cuda or cpu")
    return top


def add_settings(one: argparse.ArgumentParser, kind: type, **defaults: Any) -> None:
    """Add an option for each field of a settings dataclass.

    Args:
        one: Gets the options.
        kind: The dataclass; all of its fields have defaults and types of `KINDS`.
        defaults: Take the place of the dataclass's own defaults.
    """
    meanings = field_docs(kind)
    for field in fields(kind):
        default = defaults.get(field.name, field.default)
        if default is MISSING:
            raise TypeError(f"{kind.__name__}.{field.name} has no default")
        meaning = f"{meanings.get(field.name, '')} Default: {default}.".strip().replace("%", "%%")
        one.add_argument(_option(field), default=default, help=meaning, **_as(field))


def field_docs(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass and of its bases, by the field's name."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    found[name] = " ".join(doc.split())
    return found


def _option(field: Field[Any]) -> str:
    return f"--{field.name.replace('_', '-')}"


def _as(field: Field[Any]) -> dict[str, Any]:
    """How argparse reads a field."""
    if field.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    several = field.type in (tuple[int, ...], tuple[str, ...])
    return {"type": KINDS[field.type], **({"nargs": "+", "action": _Tuple} if several else {})}


class _Tuple(argparse.Action):
    """Keeps several values as a tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def best_device() -> str:
    """cuda where there is one, else cpu."""
    from headstyle.base.devices import has_gpu

    return "cuda" if has_gpu() else "cpu"


def _cores() -> int:
    return os.cpu_count() or 1


def _command(
    commands: Any, name: str, purpose: str, run: Callable[[dict[str, Any]], None]
) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
    one.set_defaults(run=run)
    return one


def _train(options: dict[str, Any]) -> None:
    model, out, checkpoint, date = (
        options.pop(name) for name in ("model", "out", "checkpoint", "date")
    )
    settings = SETTINGS[model](**options)
    if model != "editor":
        out.mkdir(parents=True, exist_ok=True)
    training = import_module(f"headstyle_training.{model}.train")
    getattr(training, f"train_{model}")(settings, out, date, checkpoint)


def _add_all(one: argparse.ArgumentParser) -> None:
    one.add_argument("--out", type=Path, required=True, help="folder of the models' folders")
    one.add_argument("--minutes-editor", type=float, default=20)
    one.add_argument("--minutes-matting", type=float, default=5)
    one.add_argument("--minutes-perceptual", type=float, default=4)
    one.add_argument("--heads", type=int, default=4000, help="distinct heads to train on")
    one.add_argument("--workers", type=int, default=max(1, _cores() - 1))
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--start-editor", help="folder of a mini editor to start from")
    one.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    one.add_argument("--date", default="unknown", help="for the model cards")
    one.add_argument("--device", default=best_device(), help="cuda or cpu")


def _train_all(options: dict[str, Any]) -> None:
    from headstyle_training.train_all import train_all

    out, date, only = (options.pop(name) for name in ("out", "date", "only"))
    train_all(settings_for(**options), out, date, tuple(only))


def _evaluate_editor(options: dict[str, Any]) -> None:
    from headstyle_training.editor.card import table
    from headstyle_training.editor.evaluate import evaluate_shipped, rewrite_scores

    folder, write, device = (options.pop(name) for name in ("folder", "write", "device"))
    score = rewrite_scores if write else evaluate_shipped
    scores = score(folder, Sample(**options), device)
    print(table(scores))
    print(f"the judge is right on {scores['judge_on_true_edits']:.0%} of the true edits")


def _add_photographs(one: argparse.ArgumentParser) -> None:
    one.add_argument("--photographs", type=Path, required=True, help="folder")
    one.add_argument("--masks", required=True, help="folder of the right masks")
    one.add_argument("--model", default="mini", help="as masks.matting_model in the config")
    one.add_argument("--weights", help="as masks.matting_weights in the config")
    one.add_argument("--json", type=Path, help="file for the scores")
    one.add_argument("--sheet", type=Path, help="file for a contact sheet")


def _evaluate_matting(options: dict[str, Any]) -> None:
    from headstyle.base.files import write_json
    from headstyle.posing.photographs import list_photographs

    from headstyle_training.matting.scores import score_photographs

    path = options.pop("json")
    photographs = list_photographs(options.pop("photographs"))
    scores = score_photographs(photographs, **options)
    for view, value in scores["views"].items():
        print(f"{view}\t{value:.4f}")
    print(f"mean IoU of {scores['pictures']}: {scores['iou']:.4f}, least {scores['iou_least']:.4f}")
    if path:
        write_json(path, scores)


def _check_pairs(options: dict[str, Any]) -> None:
    from headstyle.base.files import write_json

    from headstyle_training.heads.check_pairs import check_pairs

    device, sheet, path = (options.pop(name) for name in ("device", "sheet", "json"))
    found = check_pairs(PairCheck(**options), device, sheet)
    for name, value in found.items():
        print(f"{name}: {value}")
    if path:
        write_json(path, found)
