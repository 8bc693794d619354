"""Projection of splats to ellipses in the image, and their colors, on the CPU, with gradients.

The formulas are those of gsplat 1.5.3: perspective projection with a locally linear camera (EWA,
Zwicky et al. 2001), a low-pass of 0.3 px^2, opacity-aware radii (Radl et al. 2024), and spherical
harmonics plus one half, clamped at zero. The arithmetic is always in float64. One thread computes
each splat in a fixed order, so results do not depend on the number of threads.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.compiled import kernel, parallel_kernel
from headstyle.rendering.spherical_harmonics import sh_bases, sh_gradient

NEAR_PLANE = 0.01
LOW_PASS_PX2 = 0.3
ALPHA_CUT = 1.0 / 255.0
# Distance at which the alpha of an opaque splat falls below 1/255 [standard deviations].
MAX_EXTENT = 3.33
# Splats per task of a thread.
CHUNK = 256
# A camera is one row of numbers: rotation (9), translation (3), fx, fy, cx, cy, limits of x/z and
# y/z (4), and center in the world (3). The projection is differentiated only inside the limits.
CAMERA_NUMBERS = 23


def camera_table(
    world_to_camera: Tensor, intrinsics: Tensor, width: int, height: int
) -> NDArray[Any]:
    """The cameras as rows of numbers for the kernels. Returns shape `(C, 23)` float64."""
    pose = world_to_camera.detach().numpy().astype(np.float64)
    K = intrinsics.detach().numpy().astype(np.float64)
    table = np.empty((len(pose), CAMERA_NUMBERS))
    table[:, 0:9] = pose[:, :3, :3].reshape(-1, 9)
    table[:, 9:12] = pose[:, :3, 3]
    focal, principal = K[:, [0, 1], [0, 1]], K[:, [0, 1], [2, 2]]
    table[:, 12:14], table[:, 14:16] = focal, principal
    # The limits lie 0.15 of the image's size beyond its border (as in gsplat). Farther out the
    # linearization would explode.
    size = np.array([width, height], dtype=np.float64)
    slack = 0.15 * size / focal
    table[:, 16:18] = -principal / focal - slack
    table[:, 18:20] = (size - principal) / focal + slack
    table[:, 20:23] = np.linalg.inv(pose)[:, :3, 3]
    return table


@kernel
def _axes(quat, log_scale, rotation, axes):
    """Fill the rotation (9) and the axes (9, columns scaled by the standard deviations)."""
    w, x, y, z = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    inverse = 1.0 / max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    rotation[0] = 1 - 2 * (y * y + z * z)
    rotation[1] = 2 * (x * y - w * z)
    rotation[2] = 2 * (x * z + w * y)
    rotation[3] = 2 * (x * y + w * z)
    rotation[4] = 1 - 2 * (x * x + z * z)
    rotation[5] = 2 * (y * z - w * x)
    rotation[6] = 2 * (x * z - w * y)
    rotation[7] = 2 * (y * z + w * x)
    rotation[8] = 1 - 2 * (x * x + y * y)
    for k in range(3):
        scale = math.exp(float(log_scale[k]))
        for i in range(3):
            axes[3 * i + k] = rotation[3 * i + k] * scale


@kernel
def _to_camera(camera, mean):
    """The point in the camera, and its slopes x/z and y/z limited to the image and its margin."""
    m0, m1, m2 = float(mean[0]), float(mean[1]), float(mean[2])
    x = camera[0] * m0 + camera[1] * m1 + camera[2] * m2 + camera[9]
    y = camera[3] * m0 + camera[4] * m1 + camera[5] * m2 + camera[10]
    z = camera[6] * m0 + camera[7] * m1 + camera[8] * m2 + camera[11]
    if z < NEAR_PLANE:
        return x, y, z, 0.0, 0.0
    u = min(max(x / z, camera[16]), camera[18])
    v = min(max(y / z, camera[17]), camera[19])
    return x, y, z, u, v


@kernel
def _image_axes(camera, z, u, v, axes, jacobian, image_axes):
    """Fill J W (2x3: image position by world position) and J W axes (2x3)."""
    fx, fy = camera[12] / z, camera[13] / z
    for j in range(3):
        jacobian[j] = fx * (camera[j] - u * camera[6 + j])
        jacobian[3 + j] = fy * (camera[3 + j] - v * camera[6 + j])
    for i in range(2):
        for k in range(3):
            image_axes[3 * i + k] = (
                jacobian[3 * i] * axes[k]
                + jacobian[3 * i + 1] * axes[3 + k]
                + jacobian[3 * i + 2] * axes[6 + k]
            )


@kernel
def _covariance(a):
    """Entries xx, xy, yy of the low-passed covariance whose axes are the rows of `a` (2x3)."""
    xx = a[0] * a[0] + a[1] * a[1] + a[2] * a[2] + LOW_PASS_PX2
    xy = a[0] * a[3] + a[1] * a[4] + a[2] * a[5]
    yy = a[3] * a[3] + a[4] * a[4] + a[5] * a[5] + LOW_PASS_PX2
    return xx, xy, yy


@kernel
def _direction(camera, mean):
    """Unit vector from the camera to the splat, and their distance."""
    x, y, z = mean[0] - camera[20], mean[1] - camera[21], mean[2] - camera[22]
    distance = math.sqrt(x * x + y * y + z * z)
    return x / distance, y / distance, z / distance, distance


@kernel
def _project_one(camera, size, mean, opacity, axes, scratch, mean2d, conic, radius):
    """Project one splat into one camera. Returns its depth, or 0 if it is not in the image."""
    x, y, z, u, v = _to_camera(camera, mean)
    if z < NEAR_PLANE or opacity < ALPHA_CUT:
        return 0.0
    _image_axes(camera, z, u, v, axes, scratch[:6], scratch[6:12])
    xx, xy, yy = _covariance(scratch[6:12])
    determinant = xx * yy - xy * xy
    if not (determinant > 0 and math.isfinite(determinant)):
        return 0.0
    extent = min(MAX_EXTENT, math.sqrt(2 * math.log(opacity / ALPHA_CUT)))
    radius_x = math.ceil(extent * math.sqrt(xx))
    radius_y = math.ceil(extent * math.sqrt(yy))
    px = camera[12] * x / z + camera[14]
    py = camera[13] * y / z + camera[15]
    if radius_x <= 0 and radius_y <= 0:
        return 0.0
    if px + radius_x <= 0 or px - radius_x >= size[0]:
        return 0.0
    if py + radius_y <= 0 or py - radius_y >= size[1]:
        return 0.0
    mean2d[0], mean2d[1] = px, py
    conic[0], conic[1], conic[2] = yy / determinant, -xy / determinant, xx / determinant
    radius[0], radius[1] = min(radius_x, 1e9), min(radius_y, 1e9)
    return z


@kernel
def _color_one(camera, mean, degree, sh0, shN, bases, color):
    x, y, z, _ = _direction(camera, mean)
    sh_bases(degree, x, y, z, bases)
    for channel in range(3):
        value = bases[0] * sh0[channel] + 0.5
        for k in range(1, (degree + 1) ** 2):
            value += bases[k] * shN[k - 1, channel]
        color[channel] = max(value, 0.0)


@parallel_kernel
def project_forward(
    cameras, size, degree, means, quats, scales, logits, sh0, shN,
    means2d, conics, colors, opacities, depths, radii,
):  # fmt: skip
    """Fill the projected quantities, shapes `(C, N, ...)`; splats not in an image have radius 0."""
    count = len(means)
    for chunk in prange((count + CHUNK - 1) // CHUNK):
        scratch, bases = np.empty(12), np.empty(16)
        rotation, axes = np.empty(9), np.empty(9)
        for n in range(chunk * CHUNK, min(count, (chunk + 1) * CHUNK)):
            opacities[n] = 1.0 / (1.0 + math.exp(-float(logits[n])))
            _axes(quats[n], scales[n], rotation, axes)
            for c in range(len(cameras)):
                radii[c, n, :] = 0
                means2d[c, n, :] = 0
                conics[c, n, :] = 0
                colors[c, n, :] = 0
                depths[c, n] = _project_one(
                    cameras[c], size, means[n], float(opacities[n]), axes, scratch,
                    means2d[c, n], conics[c, n], radii[c, n],
                )  # fmt: skip
                if radii[c, n, 0] > 0:
                    _color_one(cameras[c], means[n], degree, sh0[n, 0], shN[n], bases, colors[c, n])


@kernel
def _conic_gradient(xx, xy, yy, d_conic):
    """Gradient of the covariance's entries (xx, xy once, yy) from that of its inverse's."""
    determinant = xx * yy - xy * xy
    a, b, c = yy / determinant, -xy / determinant, xx / determinant
    g0, g1, g2 = float(d_conic[0]), 0.5 * d_conic[1], float(d_conic[2])
    # dQ = -Q dV Q for the symmetric inverse Q.
    left00, left01 = a * g0 + b * g1, a * g1 + b * g2
    left10, left11 = b * g0 + c * g1, b * g1 + c * g2
    return (
        -(left00 * a + left01 * b),
        -(left00 * b + left01 * c),
        -(left10 * b + left11 * c),
    )


@kernel
def _geometry_backward(camera, mean, axes, scratch, d_mean2d, d_conic, d_mean, d_axes):
    """Add one view's gradients of a splat's position and axes."""
    x, y, z, u, v = _to_camera(camera, mean)
    jacobian, image_axes = scratch[:6], scratch[6:12]
    _image_axes(camera, z, u, v, axes, jacobian, image_axes)
    xx, xy, yy = _covariance(image_axes)
    gxx, gxy, gyy = _conic_gradient(xx, xy, yy, d_conic)
    fx, fy = camera[12] / z, camera[13] / z
    du = dv = dfx = dfy = 0.0
    for k in range(3):
        # Covariance = A A^T, so dA = 2 G A; then A = (J W) axes.
        d0 = 2 * (gxx * image_axes[k] + gxy * image_axes[3 + k])
        d1 = 2 * (gxy * image_axes[k] + gyy * image_axes[3 + k])
        for j in range(3):
            d_axes[3 * j + k] += jacobian[j] * d0 + jacobian[3 + j] * d1
            d_j0, d_j1 = d0 * axes[3 * j + k], d1 * axes[3 * j + k]
            dfx += d_j0 * (camera[j] - u * camera[6 + j])
            dfy += d_j1 * (camera[3 + j] - v * camera[6 + j])
            du -= d_j0 * fx * camera[6 + j]
            dv -= d_j1 * fy * camera[6 + j]
    # fx = f / z, and u = x / z where it is not limited.
    dz = -(dfx * fx + dfy * fy) / z
    gx, gy = float(d_mean2d[0]) * camera[12], float(d_mean2d[1]) * camera[13]
    if u == x / z:
        gx += du
    if v == y / z:
        gy += dv
    dx, dy = gx / z, gy / z
    dz -= (gx * x + gy * y) / (z * z)
    for j in range(3):
        d_mean[j] += camera[j] * dx + camera[3 + j] * dy + camera[6 + j] * dz


@kernel
def _color_backward(camera, mean, degree, sh0, shN, color, bases, d_color, d_mean, d_sh0, d_shN):
    """Add one view's gradients of a splat's harmonics, and of its position through them."""
    x, y, z, distance = _direction(camera, mean)
    sh_bases(degree, x, y, z, bases[:16])
    weights = bases[16:]
    weights[:] = 0
    for channel in range(3):
        if color[channel] <= 0:
            continue
        gradient = float(d_color[channel])
        d_sh0[channel] += bases[0] * gradient
        for k in range(1, (degree + 1) ** 2):
            d_shN[k - 1, channel] += bases[k] * gradient
            weights[k] += shN[k - 1, channel] * gradient
    if degree > 0:
        gx, gy, gz = sh_gradient(degree, x, y, z, weights)
        along = x * gx + y * gy + z * gz
        d_mean[0] += (gx - along * x) / distance
        d_mean[1] += (gy - along * y) / distance
        d_mean[2] += (gz - along * z) / distance


@kernel
def _axes_backward(quat, log_scale, rotation, d_axes, d_quat, d_scale):
    """Gradients of quaternion and log scales from those of the axes (`d_axes` is overwritten)."""
    g = d_axes
    for k in range(3):
        scale = math.exp(float(log_scale[k]))
        total = 0.0
        for i in range(3):
            g[3 * i + k] *= scale
            total += g[3 * i + k] * rotation[3 * i + k]
        d_scale[k] = total
    w, x, y, z = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    length = max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    w, x, y, z = w / length, x / length, y / length, z / length
    gw = 2 * (x * (g[7] - g[5]) + y * (g[2] - g[6]) + z * (g[3] - g[1]))
    gx = 2 * (w * (g[7] - g[5]) + y * (g[1] + g[3]) + z * (g[2] + g[6]) - 2 * x * (g[4] + g[8]))
    gy = 2 * (w * (g[2] - g[6]) + x * (g[1] + g[3]) + z * (g[5] + g[7]) - 2 * y * (g[0] + g[8]))
    gz = 2 * (w * (g[3] - g[1]) + x * (g[2] + g[6]) + y * (g[5] + g[7]) - 2 * z * (g[0] + g[4]))
    along = w * gw + x * gx + y * gy + z * gz
    d_quat[0] = (gw - along * w) / length
    d_quat[1] = (gx - along * x) / length
    d_quat[2] = (gy - along * y) / length
    d_quat[3] = (gz - along * z) / length


@parallel_kernel
def project_backward(
    cameras, degree, means, quats, scales, sh0, shN, opacities, colors, radii,
    d_means2d, d_conics, d_colors, d_opacities,
    d_means, d_quats, d_scales, d_logits, d_sh0, d_shN,
):  # fmt: skip
    """Fill the gradients of the splats' parameters, summed over the cameras in their order."""
    count = len(means)
    for chunk in prange((count + CHUNK - 1) // CHUNK):
        scratch, bases = np.empty(12), np.empty(32)
        rotation, axes, d_axes, d_mean = np.empty(9), np.empty(9), np.empty(9), np.empty(3)
        for n in range(chunk * CHUNK, min(count, (chunk + 1) * CHUNK)):
            d_axes[:] = 0
            d_mean[:] = 0
            d_sh0[n] = 0
            d_shN[n] = 0
            _axes(quats[n], scales[n], rotation, axes)
            for c in range(len(cameras)):
                if radii[c, n, 0] > 0:
                    _geometry_backward(
                        cameras[c], means[n], axes, scratch,
                        d_means2d[c, n], d_conics[c, n], d_mean, d_axes,
                    )  # fmt: skip
                    _color_backward(
                        cameras[c], means[n], degree, sh0[n, 0], shN[n], colors[c, n], bases,
                        d_colors[c, n], d_mean, d_sh0[n, 0], d_shN[n],
                    )  # fmt: skip
            _axes_backward(quats[n], scales[n], rotation, d_axes, d_quats[n], d_scales[n])
            d_means[n] = d_mean
            d_logits[n] = d_opacities[n] * opacities[n] * (1 - opacities[n])


class Projection(torch.autograd.Function):
    """Splats to ellipses and colors per camera.

    Takes means `(N, 3)`, quats `(N, 4)`, log scales `(N, 3)`, opacity logits `(N,)`, sh0
    `(N, 1, 3)` and shN `(N, K - 1, 3)`. Then come the camera table, (width, height) and the degree.

    Returns means2d `(C, N, 2)` [px], conics `(C, N, 3)` [1/px^2], colors `(C, N, 3)` and opacities
    `(N,)`. Then come outputs without gradient: depths `(C, N)` and radii `(C, N, 2)` [px].
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *parameters, cameras, size, degree = inputs
        arrays = [parameter.detach().contiguous().numpy() for parameter in parameters]
        means = parameters[0]
        shape = (len(cameras), len(means))
        means2d, conics, colors = (means.new_empty((*shape, k)) for k in (2, 3, 3))
        opacities, depths = means.new_empty(shape[1]), means.new_empty(shape)
        radii = torch.empty((*shape, 2), dtype=torch.int32)
        outputs = (means2d, conics, colors, opacities, depths, radii)
        project_forward(
            cameras, np.array(size), degree, *arrays, *(output.numpy() for output in outputs)
        )
        ctx.cameras, ctx.degree = cameras, degree
        ctx.save_for_backward(*parameters, opacities, colors, radii)
        ctx.mark_non_differentiable(depths, radii)
        ctx.set_materialize_grads(True)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *parameters, opacities, colors, radii = ctx.saved_tensors
        means, quats, scales, logits, sh0, shN = (p.contiguous() for p in parameters)
        # NumPy asks the system for large pages and so has fewer page faults than PyTorch.
        results = [
            torch.from_numpy(np.empty(p.shape, dtype=np.float32))
            for p in (means, quats, scales, logits, sh0, shN)
        ]
        given = (means, quats, scales, sh0, shN, opacities, colors, radii)
        project_backward(
            ctx.cameras,
            ctx.degree,
            *(tensor.detach().numpy() for tensor in given),
            *(gradient.contiguous().numpy() for gradient in gradients[:4]),
            *(result.numpy() for result in results),
        )
        return (*results, None, None, None)
