"""The editor `flux2_klein`: FLUX.2 [klein] of Black Forest Labs, which takes several references."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.kind import PipelineKind

SETTINGS = (
    Setting(
        "flux2_klein.model",
        "black-forest-labs/FLUX.2-klein-base-4B",
        {"type": "string"},
        meaning="Hub name or folder of a Flux2KleinPipeline.",
        names_weights=True,
    ),
    Setting(
        "flux2_klein.revision",
        None,
        {"type": ["string", "null"]},
        meaning="Revision of the model on the hub. null is its main branch.",
        names_weights=True,
    ),
    Setting(
        "flux2_klein.diffusion_steps",
        50,
        {"type": "integer", "minimum": 1, "maximum": 1000},
        meaning="Denoising steps of an edit; 4 are enough for distilled models.",
    ),
    Setting(
        "flux2_klein.megapixels",
        1.0,
        {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 4},
        meaning="Area at which views are edited [millions of pixels]; they are scaled to it and "
        "back. null is their own.",
    ),
    Setting(
        "flux2_klein.background",
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
        "flux2_klein.dtype",
        "bfloat16",
        {"enum": ["bfloat16", "float16", "float32"]},
        meaning="Number type of the networks on a GPU. On the CPU it is always float32.",
    ),
    Setting(
        "flux2_klein.cpu_offload",
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
        meaning="Guidance on the text. Distilled models have no such knob.",
    ),
)


class Flux2KleinKind(PipelineKind):
    """FLUX.2 [klein], which follows an instruction and sees further pictures beside the photograph.

    In one call it takes all pictures as references of one edit, so views are edited one by one.
    """

    name = "flux2_klein"
    pipeline_class = "Flux2KleinPipeline"
    known_licenses: ClassVar[Mapping[str, str]] = {
        "black-forest-labs/FLUX.2-klein-base-4B": "apache-2.0",
        "black-forest-labs/FLUX.2-klein-4B": "apache-2.0",
        "black-forest-labs/FLUX.2-klein-base-9B": "flux-non-commercial-license",
        "black-forest-labs/FLUX.2-klein-9B": "flux-non-commercial-license",
    }
    takes_references = True
    least_px = 64
    knobs = KNOBS

    @classmethod
    def usable_knobs(cls, editing: Mapping[str, Any]) -> tuple[Setting, ...]:
        try:
            is_distilled = cls.folder(editing).index().get("is_distilled", False)
        except InputError:
            return KNOBS
        return () if is_distilled else KNOBS

    @classmethod
    def call(cls, pipeline: Any, call: Call) -> Sequence[np.ndarray]:
        [picture], [references] = call.pictures, call.references
        guidance = 1.0 if pipeline.config.is_distilled else call.knobs["text_guidance"]
        images: np.ndarray = pipeline(
            image=[picture, *references],
            prompt=call.texts[0],
            width=picture.width,
            height=picture.height,
            num_inference_steps=call.settings["diffusion_steps"],
            guidance_scale=guidance,
            generator=list(call.generators),
            output_type="np",
        ).images
        return list(images)
