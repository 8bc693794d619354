"""The settings of the section `editing` that concern every editor."""

from headstyle.base.settings import Setting

SETTINGS = (
    Setting(
        "noise_level",
        [0.70, 0.98],
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
        meaning="Range from which an edit's noise level is drawn, once per cycle. The edit starts "
        "from the render with so much noise. 1 is pure noise.",
    ),
    Setting(
        "text_guidance_increment",
        0.5,
        {"type": "number"},
        meaning="Added to the guidance on the text in every further cycle.",
    ),
    Setting(
        "image_guidance_increment",
        0.2,
        {"type": "number"},
        meaning="Added to the guidance on the image in every further cycle.",
    ),
    Setting(
        "faulty_edits",
        "retry",
        {"enum": ["retry", "stop", "tell"]},
        meaning="What follows where an edit is black, no number or changed nothing. All are told. "
        "retry edits such a view once more with another seed; retry and stop end the avatar where "
        "an edit then is black or no number.",
    ),
    Setting(
        "device",
        None,
        {"type": ["string", "null"], "pattern": "^(cpu|cuda(:[0-9]+)?)$"},
        meaning="Where the editor runs, such as cuda:1 beside splats on cuda:0. Then both work at "
        "once, and a job asks for two GPUs. null is the splats' device.",
        machine=True,
    ),
)
