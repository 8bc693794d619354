"""CIELAB, and the perceived difference CIEDE2000 of its colors.

Source: Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
Supplementary Test Data, and Mathematical Observations", Color Research and Application 30(1), 2005.
"""

import math

import torch
from torch import Tensor

# Linear sRGB to XYZ (IEC 61966-2-1) and the D65 white of the 2 degree observer.
XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)


def lab_from_srgb(colors: Tensor) -> Tensor:
    """CIELAB under D65 of sRGB colors in [0, 1]. Shape `(..., 3)` in and out."""
    linear = torch.where(
        colors <= 0.04045, colors / 12.92, ((colors.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    )
    red, green, blue = linear.unbind(-1)
    x, y, z = (
        _lab_curve((row[0] * red + row[1] * green + row[2] * blue) / white)
        for row, white in zip(XYZ_FROM_RGB, WHITE, strict=True)
    )
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def delta_e(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 difference of CIELAB colors. Shape `(..., 3)` in, `(...)` out; symmetric.

    Symbols and equation numbers are those of Sharma et al. 2005.
    """
    (L1, a1, b1), (L2, a2, b2) = lab1.unbind(-1), lab2.unbind(-1)
    mean_chroma = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    G = 0.5 * (1 - _chroma_weight(mean_chroma))  # (4)
    a1, a2 = (1 + G) * a1, (1 + G) * a2  # (5)
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)  # (6)
    h1, h2 = torch.atan2(b1, a1) % math.tau, torch.atan2(b2, a2) % math.tau  # (7)
    # A hue without chroma is arbitrary, but then dH is 0 and no hue counts: no case of its own.
    dL, dC, dh = L2 - L1, C2 - C1, h2 - h1  # (8), (9)
    far = dh.abs() > math.pi
    dh = dh - math.tau * far * dh.sign()  # (10)
    dH = 2 * (C1 * C2).sqrt() * torch.sin(dh / 2)  # (11)

    L, C, h = (L1 + L2) / 2, (C1 + C2) / 2, (h1 + h2) / 2  # (12), (13)
    h = torch.where(far, h + math.pi, h)  # (14)
    T = (
        1
        - 0.17 * torch.cos(h - math.radians(30))
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6))
        - 0.20 * torch.cos(4 * h - math.radians(63))
    )  # (15)
    h_deg = torch.rad2deg(h % math.tau)
    turn = torch.deg2rad(60 * torch.exp(-(((h_deg - 275) / 25) ** 2)))  # 2Δθ of (16)
    lightness = (L - 50) ** 2
    dL = dL / (1 + 0.015 * lightness / (20 + lightness).sqrt())  # (18)
    dC = dC / (1 + 0.045 * C)  # (19)
    dH = dH / (1 + 0.015 * C * T)  # (20)
    R_T = -torch.sin(turn) * 2 * _chroma_weight(C)  # (17), (21)
    return (dL**2 + dC**2 + dH**2 + R_T * dC * dH).clamp(min=0).sqrt()  # (22)


def _chroma_weight(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7)), with the powers taken of C / 25 so that single precision holds."""
    power = (chroma / 25) ** 7
    return (power / (power + 1)).sqrt()


def _lab_curve(t: Tensor) -> Tensor:
    return torch.where(t > 0.008856, t.clamp(min=0.008856) ** (1 / 3), 7.787 * t + 16 / 116)
