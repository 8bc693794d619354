"""Compute the scores of a mini editor again, from its weights and the judge beside them."""

from pathlib import Path
from typing import Any

from headstyle.base.files import read_json

from headstyle_training.editor.card import write_scores
from headstyle_training.editor.classifier import CLASSES, load_classifier
from headstyle_training.editor.scores import evaluate, load_editor
from headstyle_training.editor.settings import EditorSettings, Sample
from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.training_banks import FIRST_EVALUATION_SEED


def evaluate_shipped(
    folder: Path, sample: Sample, device: str, sheet: Path | None = None
) -> dict[str, Any]:
    """Score the pipeline in a folder, which holds its judge too.

    Args:
        folder: A pipeline with `evaluation/judge.safetensors`.
        sample: How many heads and pictures; their seeds are those of the training's evaluation.
        device: Where to compute.
        sheet: JPEG file for a contact sheet, or None.

    Raises:
        InputError: the folder holds no judge.
    """
    judge = load_classifier(folder / "evaluation" / "judge.safetensors", device)
    editor = load_editor(folder, device)
    seeds = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + sample.heads)
    with HeadBank(seeds, sample.coarseness, sample.workers, device) as unseen:
        unseen.wait_for(len(seeds))
        operators = sample.operators or CLASSES
        seed = EditorSettings().seed
        return evaluate(editor, judge, unseen, seed, sample.pictures, operators, sheet)


def rewrite_scores(folder: Path, sample: Sample, device: str) -> dict[str, Any]:
    """Score the pipeline in a folder, and write the scores into its card and `evaluation/`.

    Raises:
        InputError: the folder holds no judge or no earlier scores.
    """
    known = read_json(folder / "evaluation" / "scores.json")["settings"]
    scores = evaluate_shipped(folder, sample, device, folder / "evaluation" / "edits.jpg")
    write_scores(folder, known, scores)
    return scores
