"""Pictures without heads, made and changed on the device.

In:   a random generator, or images in [0, 1], `(B, C, H, W)`.
Out:  images in [0, 1], `(B, C, H, W)`.
Door: `backgrounds.random_backgrounds`; `image_effects` with `Chance`, which draws random numbers,
      and `blur`, `compress`, `resample`, `grade`.
"""
