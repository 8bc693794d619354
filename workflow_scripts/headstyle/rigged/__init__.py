"""Avatars that move: splats bound to the triangles of a mesh that follows the head over time.

In:  a sequence, which is images of several cameras at several timesteps with a mesh per timestep.
Out: bound splats, their renders, their scores, and how well they agree over time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "sequence": ["MeshSequence", "RiggedSequence", "read_sequence", "write_sequence"],
        "temporal_consistency": ["MovingHead", "measure_over_time", "summarize_over_time"],
    },
)
