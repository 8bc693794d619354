"""How far images are apart, in forms that splats are trained with.

In:  rendered and target images.
Out: losses with gradients; PSNR, SSIM and LPIPS.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "perceptual": ["make_perceptual_loss"],
        "photometric": ["photometric_loss", "psnr", "ssim_map"],
    },
)
