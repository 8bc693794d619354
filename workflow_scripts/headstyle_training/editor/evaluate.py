"""Compute the scores of a mini editor again, from its weights and the judge beside them.

python -m headstyle_training.editor.evaluate FOLDER --heads 48 --pictures 24 [--write]

Without --write nothing is changed; the table is printed.
"""

import argparse
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstyle_training.editor.train import EditorSettings


@dataclass(frozen=True)
class Sample:
    """What an evaluation looks at."""

    heads: int = 48
    pictures: int = 24
    """Of each edit."""
    coarseness: float = 2.0
    workers: int = 0
    operators: tuple[str, ...] = ()
    """All of the study's if empty."""


def evaluate_shipped(folder: Path, sample: Sample, device: str, sheet: Path | None = None) -> Any:
    """The scores of the pipeline in a folder, which holds its judge too.

    Args:
        folder: With `evaluation/judge.safetensors`.
        sample: How many heads and pictures; their seeds are those of the training's evaluation.
        device: Where to compute.
        sheet: JPEG file for a contact sheet, or None.
    """
    # Imported here because the worker processes import this module too.
    from headstyle_training.editor.classifier import CLASSES, load_classifier
    from headstyle_training.editor.scores import evaluate, load_editor
    from headstyle_training.heads.bank import HeadBank
    from headstyle_training.heads.training_banks import FIRST_EVALUATION_SEED

    judge = load_classifier(folder / "evaluation" / "judge.safetensors", device)
    editor = load_editor(folder, device)
    seeds = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + sample.heads)
    with HeadBank(seeds, sample.coarseness, sample.workers, device) as unseen:
        unseen.wait_for(len(seeds))
        operators = sample.operators or CLASSES
        seed = EditorSettings().seed
        return evaluate(editor, judge, unseen, seed, sample.pictures, operators, sheet)


def main() -> None:
    """Parse the command line, evaluate, print the table."""
    import torch
    from headstyle.base.files import read_json

    from headstyle_training.editor.card import table, write_scores

    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description="Score a mini editor again.")
    parser.add_argument("folder", type=Path)
    for name, value in asdict(Sample()).items():
        if name != "operators":
            parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--operators", nargs="*", default=())
    parser.add_argument("--write", action="store_true", help="put them into the folder's card")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = vars(parser.parse_args())
    folder, write, device = (options.pop(name) for name in ("folder", "write", "device"))
    options["operators"] = tuple(options["operators"])
    sheet = folder / "evaluation" / "edits.jpg" if write else None
    scores = evaluate_shipped(folder, Sample(**options), device, sheet)
    print(table(scores))
    print(f"the judge is right on {scores['judge_on_true_edits']:.0%} of the true edits")
    if write:
        known = read_json(folder / "evaluation" / "scores.json")["settings"]
        write_scores(folder, known, scores)


if __name__ == "__main__":
    main()
