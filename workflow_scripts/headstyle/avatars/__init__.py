"""Stylized avatars: views are edited, splats are trained toward the edits.

In:  a baseline, its views, an editor and a prompt.
Out: an avatar's splats, edits, history and settings.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "runs": ["AvatarRun"],
        "schedules": ["make_schedule"],
        "stylization": ["Recipe", "stylize"],
    },
)
