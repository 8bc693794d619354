"""The smallest study that runs through every stage: one head, few small views, short trainings."""

TINIEST = {
    "study": {"subjects": ["A"], "prompts": ["recolor"], "strengths": ["low"]},
    "capture": {
        "long_side_px": 480,
        "grid_rows": 3,
        "grid_columns": 3,
        "line_views": 0,
        "samples_per_side": 1,
    },
    "poses": {"max_image_size_px": 480},
    "images": {"size_px": 64},
    "baseline": {
        "iterations": 30,
        "max_splats": 600,
        "refine": {"start": 10, "stop": 20, "every": 10},
    },
    "stylization": {"iterations": 4, "edit_every": 2},
    "summary": {"strength_prompts": []},
}
