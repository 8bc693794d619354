"""A cache of the latents of encoded images. An entry lives as long as its image."""

import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from headstyle.base.images import RgbaImage


class LatentCache:
    """Encodes each image once. Images are recognized as objects, and deleted ones are forgotten."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[RgbaImage], Tensor]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def encoded(
        self, images: Sequence[RgbaImage], encode: Callable[[list[RgbaImage]], Tensor]
    ) -> Tensor:
        """Stacked latents of the images; `encode` is called for new images. Shape `(B, C, h, w)`.

        The images must not be changed in place.
        """
        new = {id(image): image for image in images if self._find(image) is None}
        if new:
            latents = encode(list(new.values()))
            for image, latent in zip(new.values(), latents, strict=True):
                self._remember(image, latent)
        return torch.stack([self._known[id(image)][1] for image in images])

    def _find(self, image: RgbaImage) -> Tensor | None:
        reference, latent = self._known.get(id(image), (None, None))
        # Python may reuse the id of a deleted object.
        return latent if reference is not None and reference() is image else None

    def _remember(self, image: RgbaImage, latent: Tensor) -> None:
        key = id(image)

        def forget(gone: "weakref.ref[RgbaImage]") -> None:
            if self._known.get(key, (None,))[0] is gone:
                del self._known[key]

        self._known[key] = (weakref.ref(image, forget), latent)
