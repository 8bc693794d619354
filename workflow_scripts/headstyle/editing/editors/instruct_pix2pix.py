"""The editor `instruct_pix2pix`: its settings and its weights.

The networks themselves are in `headstyle.editing.instruct_pix2pix`, which takes seconds to import.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.settings import Setting
from headstyle.editing.base import Editor
from headstyle.editing.editors.base import EditorKind, Weights
from headstyle.editing.weights import (
    OPEN_LICENSES,
    download_pipeline,
    is_remote,
    is_xl,
    license_of,
    origin_sentence,
    pipeline_files,
    pipeline_folder,
    words_beyond,
)

SETTINGS = (
    Setting(
        "model",
        "timbrooks/instruct-pix2pix",
        {"type": "string"},
        meaning="Hub name or folder of a StableDiffusionInstructPix2Pix pipeline, or of its XL "
        "variant; or mini, headstyle's own small one for procedural heads, without a download.",
        names_weights=True,
    ),
    Setting(
        "revision",
        "31519b5cb02a7fd89b906d88731cd4d6a7bbf88d",
        {"type": ["string", "null"]},
        meaning="Revision of the model on the hub. null is its main branch.",
        names_weights=True,
    ),
    Setting(
        "negative_prompt",
        "low quality, deformed, bad",
        {"type": "string"},
        meaning="What the edited views must not look like.",
    ),
    Setting(
        "diffusion_steps",
        20,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Denoising steps of an edit, spread over the noise that it starts from.",
    ),
    Setting(
        "background",
        [0, 0, 0],
        {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "items": {"type": "number", "minimum": 0, "maximum": 1},
        },
        meaning="Color behind the head while it is edited, sRGB in [0, 1]. The mask is restored "
        "afterwards.",
    ),
    Setting(
        "solver",
        "ddim",
        {"enum": ["ddim", "dpm_solver"]},
        meaning="ddim as published, or dpm_solver (DPM-Solver++ 2M), which needs about half the "
        "steps.",
    ),
    Setting(
        "guidance_every",
        1,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Steps from one full guidance to the next; 1 is exact. Between them only the "
        "prediction with text and image is computed.",
    ),
    Setting(
        "dtype",
        "float16",
        {"enum": ["float16", "float32"]},
        meaning="Number type of the networks on a GPU. On the CPU it is always float32.",
    ),
    Setting(
        "batch_size",
        None,
        {"type": ["integer", "null"], "minimum": 1},
        meaning="Views edited together. null takes as many as fit into the GPU's memory (9 on the "
        "CPU). It is halved where the memory runs out.",
        machine=True,
    ),
    Setting(
        "max_memory_gb",
        None,
        {"type": ["number", "null"], "minimum": 8},
        meaning="The most GPU memory that editing and training may take [GiB]. null sets no limit.",
        machine=True,
    ),
    Setting(
        "compile",
        "auto",
        {"enum": ["auto", "always", "max", "never"]},
        meaning="When the networks are compiled: auto (on a GPU, from 400 views in a job on), "
        "always, max (tries out many kernels, for minutes) or never.",
        machine=True,
    ),
)


class InstructPix2PixKind(EditorKind):
    """InstructPix2Pix (Brooks et al. 2023): a diffusion model that follows an instruction."""

    name = "instruct_pix2pix"

    @classmethod
    def make(cls, editing: Mapping[str, Any], device: str) -> Editor:
        # Imported here, as diffusers takes seconds to import.
        from headstyle.editing.instruct_pix2pix import InstructPix2Pix

        if is_xl(pipeline_folder(editing["model"], editing["revision"])):
            from headstyle.editing.pipelines.instruct_pix2pix_xl import InstructPix2PixXl

            return InstructPix2PixXl.from_config(editing, device)
        return InstructPix2Pix.from_config(editing, device)

    @classmethod
    def weights(cls, editing: Mapping[str, Any]) -> list[Weights]:
        model, revision = editing["model"], editing["revision"]
        files = tuple(pipeline_files(model, revision))
        return [Weights("editing.model", model, revision, files, license_of(model, revision))]

    @classmethod
    def note(cls, editing: Mapping[str, Any]) -> str:
        model = editing["model"]
        return origin_sentence(model, license_of(model, editing["revision"]))

    @classmethod
    def is_harmless(cls, editing: Mapping[str, Any]) -> bool:
        return license_of(editing["model"], editing["revision"]) in OPEN_LICENSES

    @classmethod
    def download(cls, editing: Mapping[str, Any]) -> list[Path]:
        if not is_remote(editing["model"]):
            return []
        return download_pipeline(editing["model"], editing["revision"])

    @classmethod
    def unread_texts(cls, editing: Mapping[str, Any], prompts: Mapping[str, str]) -> list[str]:
        folder = pipeline_folder(editing["model"], editing["revision"]) / "tokenizer"
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        window = settings.get("model_max_length", 77)
        # No tokenizer is asked about texts that fit whatever it does: loading one takes seconds.
        if all(len(text.encode()) + 2 <= window for text in prompts.values()):
            return []
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        cut = {name: words_beyond(tokenizer, text) for name, text in prompts.items()}
        return [
            f"the prompt {name} is longer than the text encoder's window of {window} tokens, which "
            f"does not see its end {end!r}; shorten it"
            for name, end in cut.items()
            if end
        ]
