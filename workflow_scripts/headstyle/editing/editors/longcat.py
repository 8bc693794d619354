"""The editor `longcat`: LongCat-Image-Edit of Meituan."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from headstyle.base.settings import Setting
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.kind import PipelineKind

SETTINGS = (
    Setting(
        "longcat.model",
        "meituan-longcat/LongCat-Image-Edit",
        {"type": "string"},
        meaning="Hub name or folder of a LongCatImageEditPipeline.",
        names_weights=True,
    ),
    Setting(
        "longcat.revision",
        None,
        {"type": ["string", "null"]},
        meaning="Revision of the model on the hub. null is its main branch.",
        names_weights=True,
    ),
    Setting(
        "longcat.diffusion_steps",
        50,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Denoising steps of an edit.",
    ),
    Setting(
        "longcat.negative_prompt",
        " ",
        {"type": "string"},
        meaning="What the edited views must not look like. Without effect at guidance 1.",
    ),
    Setting(
        "longcat.background",
        [0, 0, 0],
        {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "items": {"type": "number", "minimum": 0, "maximum": 1},
        },
        meaning="Color behind the head while it is edited, sRGB in [0, 1].",
    ),
    Setting(
        "longcat.dtype",
        "bfloat16",
        {"enum": ["bfloat16", "float16", "float32"]},
        meaning="Number type of the networks on a GPU. On the CPU it is always float32.",
    ),
    Setting(
        "longcat.cpu_offload",
        False,
        {"type": "boolean"},
        meaning="Keep a single network on the GPU at a time: slower, and less memory.",
        machine=True,
    ),
)
KNOBS = (
    Setting(
        "text_guidance",
        4.5,
        {"type": "number", "minimum": 1, "maximum": 20},
        meaning="Guidance on the text, away from the negative prompt. 1 is none.",
    ),
)


class LongCatKind(PipelineKind):
    """LongCat-Image-Edit, one view in a call, always at about one megapixel."""

    name = "longcat"
    pipeline_class = "LongCatImageEditPipeline"
    known_licenses: ClassVar[Mapping[str, str]] = {
        "meituan-longcat/LongCat-Image-Edit": "apache-2.0",
    }
    knobs = KNOBS

    @classmethod
    def call(cls, pipeline: Any, call: Call) -> Sequence[np.ndarray]:
        [picture] = call.pictures
        images: np.ndarray = pipeline(
            image=picture,
            prompt=call.texts[0],
            negative_prompt=call.settings["negative_prompt"],
            num_inference_steps=call.settings["diffusion_steps"],
            guidance_scale=call.knobs["text_guidance"],
            generator=call.generators[0],
            output_type="np",
        ).images
        return list(images)
