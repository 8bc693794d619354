"""Images and depth of a splat scene, on CUDA and on the CPU.

`render` calls gsplat for tensors on CUDA and headstyle's own rasterizer for tensors on the CPU.
Both follow the same rules. The near plane is at 0.01. Projected splats get a low-pass of 0.3 px^2.
Alpha lies in [1/255, 0.999]. A pixel is finished before its transmittance reaches 1e-4. Pixel
centers lie at +0.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage

Splats = torch.nn.ParameterDict
"""The tensors of a scene, with gsplat's names: `means` (N, 3) in world units, `scales` (N, 3) as
natural logarithms, `quats` (N, 4) wxyz of any length, `opacities` (N,) as logits, `sh0` (N, 1, 3),
`shN` (N, K - 1, 3)."""


View = tuple[str, RgbaImage, NDArray[np.float32], NDArray[np.float32]]
"""Name, image with straight alpha `(H, W, 4)`, median depth and expected depth `(H, W)`."""


@runtime_checkable
class RendersItself(Protocol):
    """A scene of another kind than splats, such as a radiance field."""

    def rendered_views(self, cameras: Cameras) -> Iterator[View]:
        """Render one view after the other, as `render_views` does."""
        ...


Parts = tuple[Tensor, Tensor, Tensor | None, Tensor | None, dict[str, Any]]
"""The fields of a `Rendering`."""


@dataclass
class Rendering:
    """C views of a scene."""

    colors: Tensor
    """Colors times alpha, plus the background's share. Shape `(C, H, W, 3)`."""
    alphas: Tensor
    """Opacity of the pixel in [0, 1]. Shape `(C, H, W)`."""
    expected_depth: Tensor | None
    """Mean z of the visible splats, 0 where alpha is nearly 0; no gradient. Shape `(C, H, W)`."""
    median_depth: Tensor | None
    """z of the splat at which the transmittance passes 1/2, 0 where none does; no gradient.
    Shape `(C, H, W)`."""
    info: dict[str, Any]
    """For gsplat's strategies: `means2d` (C, N, 2) [px] with its gradient retained, `radii`
    (C, N, 2) [px], `width`, `height`, `n_cameras`, `gaussian_ids` (None), `depths` (C, N)."""


def render(
    splats: Splats | dict[str, Tensor],
    world_to_camera: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    *,
    sh_degree: int | None = None,
    background: Tensor | None = None,
    with_depth: bool = False,
    absolute_gradients: bool = False,
) -> Rendering:
    """Render C views of one size.

    Args:
        splats: The scene; its tensors' device chooses the renderer.
        world_to_camera: Poses, OpenCV axes. Shape `(C, 4, 4)`.
        intrinsics: Pinhole matrices K [px]. Shape `(C, 3, 3)`.
        width: Width of the images [px].
        height: Height of the images [px].
        sh_degree: Degree of the harmonics to use; None uses the splats' highest degree.
        background: Color behind the splats, shape `(3,)` or `(C, 3)`; None is black.
        with_depth: Whether to compute the two depths (slower).
        absolute_gradients: Whether the backward pass also leaves `info["means2d"].absgrad`
            `(C, N, 2)`, the sum over pixels of the absolute gradients (AbsGS, Ye et al. 2024).

    Raises:
        ValueError: a tensor has a wrong shape, or `sh_degree` exceeds what the splats have.
    """
    available = check_splats(splats)
    sh_degree = available if sh_degree is None else sh_degree
    if not 0 <= sh_degree <= available:
        raise ValueError(f"sh_degree is {sh_degree}, the splats have 0 to {available}")
    count = len(world_to_camera)
    _check_shape("world_to_camera", world_to_camera, (count, 4, 4))
    _check_shape("intrinsics", intrinsics, (count, 3, 3))
    if width < 1 or height < 1:
        raise ValueError(f"the image is {width} x {height} px, expected at least 1 x 1")
    means = splats["means"]
    if background is None:
        background = means.new_zeros(3)
    background = background.to(means).expand(count, 3).contiguous()
    poses, matrices = world_to_camera.to(means), intrinsics.to(means)
    draw = _render_cuda if means.is_cuda else _render_cpu
    options = (sh_degree, background, with_depth, absolute_gradients)
    return Rendering(*draw(splats, poses, matrices, width, height, *options))


def check_splats(splats: Splats | dict[str, Tensor]) -> int:
    """Check the shapes of a scene's tensors and return the degree of its harmonics.

    Raises:
        ValueError: a tensor has a wrong shape. The message names the tensor.
    """
    count = len(splats["means"])
    shapes = {"means": (3,), "scales": (3,), "quats": (4,), "opacities": (), "sh0": (1, 3)}
    for name, shape in shapes.items():
        _check_shape(name, splats[name], (count, *shape))
    bases = splats["shN"].shape[1] + 1
    _check_shape("shN", splats["shN"], (count, bases - 1, 3))
    degree = round(bases**0.5) - 1
    if (degree + 1) ** 2 != bases or degree > 3:
        raise ValueError(f"shN has {bases - 1} bases, expected 0, 3, 8 or 15")
    return degree


def render_views(
    splats: Splats | RendersItself, cameras: Cameras, *, sh_degree: int | None = None
) -> Iterator[View]:
    """Render one view after the other, without gradients.

    Yields name, image with straight alpha `(H, W, 4)`, median depth and expected depth `(H, W)`;
    depth is z in the camera, 0 where there is no surface.
    """
    if isinstance(splats, RendersItself):
        yield from splats.rendered_views(cameras)
        return
    device = splats["means"].device
    for i, name in enumerate(cameras.names):
        with torch.no_grad():
            rendering = render(
                splats,
                torch.as_tensor(cameras.world_to_camera[i : i + 1], device=device),
                torch.as_tensor(cameras.intrinsics[i : i + 1], device=device),
                int(cameras.sizes[i, 0]),
                int(cameras.sizes[i, 1]),
                sh_degree=sh_degree,
                with_depth=True,
            )
        assert rendering.median_depth is not None
        assert rendering.expected_depth is not None
        image = straight_alpha(rendering.colors[0], rendering.alphas[0])
        depths = (rendering.median_depth[0], rendering.expected_depth[0])
        yield name, image, depths[0].cpu().numpy(), depths[1].cpu().numpy()


def straight_alpha(colors: Tensor, alphas: Tensor) -> RgbaImage:
    """Divide colors rendered on black by alpha; black where there is nothing. `(H, W, 4)`."""
    alpha = alphas[..., None].clamp(0, 1)
    straight = torch.where(alpha > 0, colors / alpha.clamp_min(1e-6), torch.zeros_like(colors))
    return torch.cat([straight.clamp(0, 1), alpha], dim=-1).cpu().numpy()


def _check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")


def _render_cpu(
    splats: Splats | dict[str, Tensor],
    world_to_camera: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    sh_degree: int,
    background: Tensor,
    with_depth: bool,
    absolute_gradients: bool,
) -> Parts:
    # Imported here because numba takes half a second to import, and jobs on the GPU do not need it.
    from headstyle.rendering.cpu.project import Projection, camera_table
    from headstyle.rendering.cpu.rasterize import Rasterization

    table = camera_table(world_to_camera, intrinsics, width, height)
    names = ("means", "quats", "scales", "opacities", "sh0", "shN")
    means2d, conics, colors, opacities, depths, radii = Projection.apply(
        *(splats[name] for name in names), table, (width, height), sh_degree
    )
    if means2d.requires_grad:
        means2d.retain_grad()
    images, alphas, expected, median = Rasterization.apply(
        means2d, conics, colors, opacities, depths, radii,
        background, width, height, with_depth, absolute_gradients,
    )  # fmt: skip
    info = {
        "means2d": means2d,
        "radii": radii,
        "depths": depths,
        "width": width,
        "height": height,
        "n_cameras": len(table),
        "gaussian_ids": None,
    }
    return images, alphas, expected if with_depth else None, median if with_depth else None, info


def _render_cuda(*arguments: Any) -> Parts:
    # Imported here because the import compiles gsplat, which fails on a machine without a GPU.
    from headstyle.rendering.cuda.rasterize import render_parts

    return render_parts(*arguments)
