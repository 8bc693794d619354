"""gsplat's functions for CUDA on the CPU: same arguments, same outputs, same checks of shapes.

So `headstyle.rendering.cuda.rasterize` runs where there is no GPU. The projection is that of
headstyle's CPU renderer; tiles are blended one after the other in plain torch.
"""

from functools import wraps

import numpy as np
import torch
from headstyle.rendering import renderer as rendering
from headstyle.rendering.cpu.project import Projection, camera_table
from headstyle.rendering.cuda import rasterize as rendering_cuda
from splat_reference import SH_CONSTANT, _bases
from torch.utils._python_dispatch import _disable_current_modes

NAMES = (
    "fully_fused_projection",
    "isect_offset_encode",
    "isect_tiles",
    "rasterize_to_indices_in_range",
    "rasterize_to_pixels",
    "spherical_harmonics",
)


def use_stand_in(monkeypatch):
    """Let scenes on the CPU be rendered as those on CUDA are, without Triton."""
    for name in NAMES:
        monkeypatch.setattr(rendering_cuda, name, unseen(globals()[name]))
    monkeypatch.setattr(rendering_cuda, "has_triton", lambda: False)
    monkeypatch.setattr(rendering, "_render_cpu", rendering_cuda.render_parts)


def unseen(function):
    """The function, hidden from what watches the operations: on CUDA it is a single one."""

    @wraps(function)
    def hidden(*arguments, **keywords):
        with _disable_current_modes():
            return function(*arguments, **keywords)

    return hidden


def fully_fused_projection(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d=0.3, near_plane=0.01,
    far_plane=1e10, radius_clip=0.0, packed=False, sparse_grad=False, calc_compensations=False,
    camera_model="pinhole", opacities=None,
):  # fmt: skip
    count, views = len(means), len(viewmats)
    shapes = ((means, (3,)), (quats, (4,)), (scales, (3,)), (opacities, ()))
    assert all(tensor.shape == (count, *shape) for tensor, shape in shapes)
    assert viewmats.shape == (views, 4, 4)
    assert Ks.shape == (views, 3, 3)
    assert all(t.dtype == torch.float32 for t in (means, quats, scales, opacities, viewmats, Ks))
    assert (covars, eps2d, near_plane, packed) == (None, 0.3, 0.01, False)
    table = camera_table(viewmats, Ks, width, height)
    harmonics = means.new_zeros((count, 1, 3)), means.new_zeros((count, 0, 3))
    # The opacities only bound the radii here; gsplat gives them no gradient either.
    logits = torch.logit(opacities).detach()
    means2d, conics, _, _, depths, radii = Projection.apply(
        means, quats, torch.log(scales), logits, *harmonics, table, (width, height), 0
    )
    # gsplat leaves what no camera sees unwritten.
    seen = (radii > 0).all(dim=-1)
    means2d, conics = (torch.where(seen[..., None], x, torch.nan) for x in (means2d, conics))
    return radii, means2d, torch.where(seen, depths, torch.nan), conics, None


def isect_tiles(
    means2d, radii, depths, tile_size, tile_width, tile_height, sort=True, segmented=False,
    packed=False, n_images=None, image_ids=None, gaussian_ids=None,
):  # fmt: skip
    views, count = means2d.shape[:2]
    assert radii.shape == (views, count, 2)
    assert radii.dtype == torch.int32
    assert depths.shape == (views, count)
    entries = []
    centers = means2d.detach().nan_to_num().numpy() / tile_size
    reach = radii.numpy() / tile_size
    ends = np.array([tile_width, tile_height])
    first = np.clip(np.floor(centers - reach), 0, ends).astype(int)
    after = np.clip(np.ceil(centers + reach), 0, ends).astype(int)
    for view, splat in np.argwhere((radii.numpy() > 0).all(axis=-1)):
        for row in range(first[view, splat, 1], after[view, splat, 1]):
            for column in range(first[view, splat, 0], after[view, splat, 0]):
                tile = (view * tile_height + row) * tile_width + column
                entries.append((tile, float(depths[view, splat]), view * count + splat))
    entries.sort()
    tiles = torch.tensor([entry[0] for entry in entries], dtype=torch.int64)
    ids = torch.tensor([entry[2] for entry in entries], dtype=torch.int32)
    return torch.zeros((views, count), dtype=torch.int32), tiles, ids


def isect_offset_encode(isect_ids, n_images, tile_width, tile_height):
    tiles = torch.arange(n_images * tile_height * tile_width)
    offsets = torch.searchsorted(isect_ids, tiles).to(torch.int32)
    return offsets.reshape(n_images, tile_height, tile_width)


def rasterize_to_pixels(
    means2d, conics, colors, opacities, image_width, image_height, tile_size, isect_offsets,
    flatten_ids, backgrounds=None, masks=None, packed=False, absgrad=False,
):  # fmt: skip
    views, count = means2d.shape[:2]
    channels = colors.shape[-1]
    shapes = ((conics, (3,)), (colors, (channels,)), (opacities, ()))
    assert all(tensor.shape == (views, count, *shape) for tensor, shape in shapes)
    assert backgrounds.shape == (views, channels)
    size = (image_width, image_height)
    color, through = [], []
    assert masks is None or (masks.shape, masks.dtype) == (isect_offsets.shape, torch.bool)
    for ids, weights, left in tiles_of(
        *(means2d, conics, opacities, size, tile_size, isect_offsets, flatten_ids, absgrad),
        None if masks is None else masks.flatten().tolist(),
    ):
        # MKL's float32 products may depend on where the matrices lie in memory.
        mixed = weights.T.double() @ colors.reshape(-1, channels)[ids].double()
        color.append(mixed.float())
        through.append(left)
    color = image_of(torch.stack(color), isect_offsets.shape, tile_size, size)
    through = image_of(torch.stack(through)[..., None], isect_offsets.shape, tile_size, size)
    return color + through * backgrounds[:, None, None], 1 - through


@torch.no_grad()
def rasterize_to_indices_in_range(
    range_start, range_end, transmittances, means2d, conics, opacities, image_width, image_height,
    tile_size, isect_offsets, flatten_ids,
):  # fmt: skip
    views, count = means2d.shape[:2]
    assert transmittances.shape == (views, image_height, image_width)
    assert opacities.shape == (views, count)
    assert opacities.is_contiguous()
    assert (range_start, range_end >= len(flatten_ids)) == (0, True)
    size = (image_width, image_height)
    parts = []
    _, down, across = isect_offsets.shape
    for tile, (ids, weights, _) in enumerate(
        tiles_of(means2d, conics, opacities, size, tile_size, isect_offsets, flatten_ids, False)
    ):
        rank, pixel = torch.nonzero(weights, as_tuple=True)
        row = tile // across % down * tile_size + pixel // tile_size
        column = tile % across * tile_size + pixel % tile_size
        inside = (row < image_height) & (column < image_width)
        place = (tile // (down * across) * image_height + row) * image_width + column
        parts.append(torch.stack([place, rank, ids[rank] % count])[:, inside])
    place, rank, splat = torch.cat(parts, dim=1)
    order = np.lexsort((rank.numpy(), place.numpy()))
    pixels = image_width * image_height
    return splat[order], place[order] % pixels, place[order] // pixels


def tiles_of(
    means2d, conics, opacities, size, tile_size, isect_offsets, flatten_ids, absgrad, shown=None
):
    """Yield each tile's splats, their weights `(n, pixels)` and what shines through `(pixels,)`."""
    views, down, across = isect_offsets.shape
    assert views == len(means2d)
    assert down * tile_size >= size[1]
    assert across * tile_size >= size[0]
    # Whole warps of 32 threads, one a pixel.
    assert tile_size**2 % 32 == 0
    assert (isect_offsets.dtype, flatten_ids.dtype) == (torch.int32, torch.int32)
    bounds = [*isect_offsets.flatten().tolist(), len(flatten_ids)]
    if absgrad:
        means2d.absgrad = torch.zeros_like(means2d)
    for tile in range(views * down * across):
        after = bounds[tile + 1] if shown is None or shown[tile] else bounds[tile]
        ids = flatten_ids[bounds[tile] : after].long()
        within = torch.arange(tile_size**2)
        x = tile % across * tile_size + within % tile_size + 0.5
        y = tile // across % down * tile_size + within // tile_size + 0.5
        centers = means2d.reshape(-1, 2)[ids][:, None].expand(-1, tile_size**2, -1)
        if absgrad and centers.requires_grad:
            centers.register_hook(lambda gradient, ids=ids: add_absolute(means2d, ids, gradient))
        dx, dy = centers[..., 0] - x, centers[..., 1] - y
        a, b, c = conics.reshape(-1, 3)[ids].T[..., None]
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = (opacities.reshape(-1)[ids, None] * torch.exp(-sigma)).clamp_max(0.999)
        alpha = torch.where((alpha >= 1 / 255) & (sigma >= 0), alpha, 0)
        after = torch.cumprod(1 - alpha, dim=0)
        alpha = torch.where(after > 1e-4, alpha, 0)
        after = torch.cat([torch.ones(1, tile_size**2), torch.cumprod(1 - alpha, dim=0)])
        yield ids, alpha * after[:-1], after[-1]


def add_absolute(means2d, ids, gradient):
    """Note the absolute gradients of a tile's pixels `(n, pixels, 2)`."""
    means2d.absgrad.view(-1, 2).index_add_(0, ids, gradient.abs().sum(dim=1))


def image_of(tiles, grid, tile_size, size):
    """Put tiles `(tiles, pixels, K)` together to images `(C, H, W, K)`."""
    views, down, across = grid
    tiles = tiles.reshape(views, down, across, tile_size, tile_size, -1)
    image = tiles.transpose(2, 3).reshape(views, down * tile_size, across * tile_size, -1)
    return image[:, : size[1], : size[0]]


def spherical_harmonics(degrees_to_use, dirs, coeffs, masks=None):
    bases = (degrees_to_use + 1) ** 2
    assert coeffs.shape[:-2] == dirs.shape[:-1] == masks.shape
    assert bases <= coeffs.shape[-2]
    directions = torch.nn.functional.normalize(dirs.flatten(0, -2), dim=-1)
    values = [torch.full_like(directions[:, 0], SH_CONSTANT), *_bases(directions)]
    weights = torch.stack(values[:bases], dim=-1).reshape(*dirs.shape[:-1], bases, 1)
    colors = (weights * coeffs[..., :bases, :]).sum(dim=-2)
    # As on a GPU, where nothing writes what is masked out.
    return torch.where(masks[..., None], colors, torch.nan)
