"""Real spherical harmonics up to degree 3 for the CPU renderer, in gsplat's order and signs.

Constants and the order of the bases as in Sloan, "Efficient Spherical Harmonic Evaluation"
(JCGT 2013), which gsplat and the common 3DGS PLY layout share.
"""

from headstyle.base.compiled import kernel

C0 = 0.2820947917738781
C1 = 0.48860251190292
C2 = (1.092548430592079, 0.9461746957575601, 0.3153915652525201, 0.5462742152960395)
C3 = (
    0.5900435899266435,
    2.890611442640554,
    2.285228997322329,
    0.4570457994644658,
    1.865881662950577,
    1.119528997770346,
    1.445305721320277,
)


@kernel
def sh_bases(degree, x, y, z, bases):
    """Fill `bases[: (degree + 1)**2]` with the bases at the unit direction (x, y, z)."""
    bases[0] = C0
    if degree < 1:
        return
    bases[1], bases[2], bases[3] = -C1 * y, C1 * z, -C1 * x
    if degree < 2:
        return
    bases[4] = C2[0] * x * y
    bases[5] = -C2[0] * y * z
    bases[6] = C2[1] * z * z - C2[2]
    bases[7] = -C2[0] * x * z
    bases[8] = C2[3] * (x * x - y * y)
    if degree < 3:
        return
    bases[9] = -C3[0] * y * (3 * x * x - y * y)
    bases[10] = C3[1] * x * y * z
    bases[11] = y * (C3[3] - C3[2] * z * z)
    bases[12] = z * (C3[4] * z * z - C3[5])
    bases[13] = x * (C3[3] - C3[2] * z * z)
    bases[14] = C3[6] * z * (x * x - y * y)
    bases[15] = -C3[0] * x * (x * x - 3 * y * y)


@kernel
def sh_gradient(degree, x, y, z, w):
    """Gradient with respect to (x, y, z) of the sum of the bases weighted by `w`."""
    gx, gy, gz = 0.0, 0.0, 0.0
    if degree >= 1:
        gx, gy, gz = -C1 * w[3], -C1 * w[1], C1 * w[2]
    if degree >= 2:
        gx += C2[0] * (y * w[4] - z * w[7]) + 2 * C2[3] * x * w[8]
        gy += C2[0] * (x * w[4] - z * w[5]) - 2 * C2[3] * y * w[8]
        gz += -C2[0] * (y * w[5] + x * w[7]) + 2 * C2[1] * z * w[6]
    if degree >= 3:
        band = C3[3] - C3[2] * z * z
        gx += -6 * C3[0] * x * y * w[9] + C3[1] * y * z * w[10] + band * w[13]
        gx += 2 * C3[6] * x * z * w[14] - 3 * C3[0] * (x * x - y * y) * w[15]
        gy += -3 * C3[0] * (x * x - y * y) * w[9] + C3[1] * x * z * w[10] + band * w[11]
        gy += -2 * C3[6] * y * z * w[14] + 6 * C3[0] * x * y * w[15]
        gz += C3[1] * x * y * w[10] - 2 * C3[2] * z * (y * w[11] + x * w[13])
        gz += (3 * C3[4] * z * z - C3[5]) * w[12] + C3[6] * (x * x - y * y) * w[14]
    return gx, gy, gz
