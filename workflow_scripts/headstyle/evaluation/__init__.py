"""How well a baseline shows its photographs, as 3D Gaussian splatting and its successors tell it.

In:  splats, and views with alpha.
Out: PSNR, SSIM, L1 and LPIPS by view; frames per second and sizes; one table over all subjects.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "scores": ["Networks", "score_view"],
        "speed": ["frames_per_second"],
        "tables": ["summarize_evaluations"],
    },
)
