"""The smallest studies that run through every stage: small views, short trainings."""

TINY = {
    "study": {"subjects": ["A", "B"], "prompts": ["recolor"]},
    "capture": {
        "long_side_px": 480,
        "grid_rows": 3,
        "grid_columns": 3,
        "line_views": 0,
        "samples_per_side": 1,
    },
    "poses": {"max_image_size_px": 480},
    "images": {"size_px": 96},
    "baseline": {
        "iterations": 150,
        "max_splats": 1500,
        "refine": {"start": 20, "stop": 100, "every": 20},
    },
    "stylization": {"iterations": 8, "edit_every": 4},
}

TINIEST = TINY | {
    "study": {"subjects": ["A"], "prompts": ["recolor"], "strengths": ["low"]},
    "images": {"size_px": 64},
    "baseline": {
        "iterations": 30,
        "max_splats": 600,
        "refine": {"start": 10, "stop": 20, "every": 10},
    },
    "stylization": {"iterations": 4, "edit_every": 2},
}
