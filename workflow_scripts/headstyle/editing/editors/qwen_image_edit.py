"""The editor `qwen_image_edit`: Qwen-Image-Edit, which takes several references."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from headstyle.base.settings import Setting
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.kind import PipelineKind

SETTINGS = (
    Setting(
        "qwen_image_edit.model",
        "Qwen/Qwen-Image-Edit-2509",
        {"type": "string"},
        meaning="Hub name or folder of a QwenImageEditPlusPipeline.",
        names_weights=True,
    ),
    Setting(
        "qwen_image_edit.revision",
        None,
        {"type": ["string", "null"]},
        meaning="Revision of the model on the hub. null is its main branch.",
        names_weights=True,
    ),
    Setting(
        "qwen_image_edit.diffusion_steps",
        40,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Denoising steps of an edit.",
    ),
    Setting(
        "qwen_image_edit.negative_prompt",
        " ",
        {"type": "string"},
        meaning="What the edited views must not look like. Without effect at guidance 1.",
    ),
    Setting(
        "qwen_image_edit.background",
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
        "qwen_image_edit.dtype",
        "bfloat16",
        {"enum": ["bfloat16", "float16", "float32"]},
        meaning="Number type of the networks on a GPU. On the CPU it is always float32.",
    ),
    Setting(
        "qwen_image_edit.cpu_offload",
        False,
        {"type": "boolean"},
        meaning="Keep a single network on the GPU at a time: slower, and less memory.",
        machine=True,
    ),
)
KNOBS = (
    Setting(
        "text_guidance",
        4.0,
        {"type": "number", "minimum": 1, "maximum": 20},
        meaning="Guidance on the text, away from the negative prompt. 1 is none.",
    ),
)


class QwenImageEditKind(PipelineKind):
    """Qwen-Image-Edit (2509 and later), one view in a call, always at about one megapixel."""

    name = "qwen_image_edit"
    pipeline_class = "QwenImageEditPlusPipeline"
    known_licenses: ClassVar[Mapping[str, str]] = {
        "Qwen/Qwen-Image-Edit-2509": "apache-2.0",
        "Qwen/Qwen-Image-Edit-2511": "apache-2.0",
    }
    takes_references = True
    knobs = KNOBS

    @classmethod
    def call(cls, pipeline: Any, call: Call) -> Sequence[np.ndarray]:
        # Imported here, as diffusers takes seconds to import.
        from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as qwen

        [picture], [references] = call.pictures, call.references
        # The size at which the pipeline encodes the picture, so that both lie on one grid.
        width, height = qwen.calculate_dimensions(
            qwen.VAE_IMAGE_SIZE, picture.width / picture.height
        )
        guidance = call.knobs["text_guidance"]
        images: np.ndarray = pipeline(
            image=[picture, *references],
            prompt=call.texts[0],
            negative_prompt=call.settings["negative_prompt"] if guidance > 1 else None,
            width=width,
            height=height,
            num_inference_steps=call.settings["diffusion_steps"],
            true_cfg_scale=guidance,
            generator=call.generators[0],
            output_type="np",
        ).images
        return list(images)
