"""The editor `flux_kontext`: FLUX.1 Kontext [dev] of Black Forest Labs, not for commercial use."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from headstyle.base.settings import Setting
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.kind import PipelineKind

SETTINGS = (
    Setting(
        "flux_kontext.model",
        "black-forest-labs/FLUX.1-Kontext-dev",
        {"type": "string"},
        meaning="Hub name or folder of a FluxKontextPipeline.",
        names_weights=True,
    ),
    Setting(
        "flux_kontext.revision",
        None,
        {"type": ["string", "null"]},
        meaning="Revision of the model on the hub. null is its main branch.",
        names_weights=True,
    ),
    Setting(
        "flux_kontext.diffusion_steps",
        28,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Denoising steps of an edit.",
    ),
    Setting(
        "flux_kontext.megapixels",
        1.0,
        {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 4},
        meaning="Area at which views are edited [millions of pixels]; they are scaled to it and "
        "back. null is their own.",
    ),
    Setting(
        "flux_kontext.background",
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
        "flux_kontext.dtype",
        "bfloat16",
        {"enum": ["bfloat16", "float16", "float32"]},
        meaning="Number type of the networks on a GPU. On the CPU it is always float32.",
    ),
    Setting(
        "flux_kontext.batch_size",
        None,
        {"type": ["integer", "null"], "minimum": 1, "maximum": 8},
        meaning="Views edited together. null tries 8. It is halved where the memory runs out.",
        machine=True,
    ),
    Setting(
        "flux_kontext.cpu_offload",
        False,
        {"type": "boolean"},
        meaning="Keep a single network on the GPU at a time: slower, and less memory.",
        machine=True,
    ),
)
KNOBS = (
    Setting(
        "text_guidance",
        2.5,
        {"type": "number", "minimum": 1, "maximum": 20},
        meaning="Guidance on the text, as the distilled network takes it for an input.",
    ),
)


class FluxKontextKind(PipelineKind):
    """FLUX.1 Kontext [dev], which follows an instruction."""

    name = "flux_kontext"
    pipeline_class = "FluxKontextPipeline"
    known_licenses: ClassVar[Mapping[str, str]] = {
        "black-forest-labs/FLUX.1-Kontext-dev": "flux-1-dev-non-commercial-license",
    }
    warning = "The license of FLUX.1 Kontext [dev] forbids commercial use of the model."
    most_together = 8
    knobs = KNOBS

    @classmethod
    def call(cls, pipeline: Any, call: Call) -> Sequence[np.ndarray]:
        width, height = call.pictures[0].size
        images: np.ndarray = pipeline(
            image=list(call.pictures),
            prompt=list(call.texts),
            width=width,
            height=height,
            # Otherwise it would change the size to one of its own.
            max_area=width * height,
            _auto_resize=False,
            num_inference_steps=call.settings["diffusion_steps"],
            guidance_scale=call.knobs["text_guidance"],
            generator=list(call.generators),
            output_type="np",
        ).images
        return list(images)
