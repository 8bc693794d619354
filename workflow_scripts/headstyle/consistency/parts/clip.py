"""Embeddings of images and texts by CLIP (Radford et al. 2021). Only this module uses transformers.

The model comes from a folder or from the hub's cache on this machine, never over the internet.
"""

import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.base.errors import InputError, first_line
from headstyle.base.images import FOREGROUND_ALPHA
from headstyle.base.settings import Setting
from headstyle.consistency.pairs import Scene, bounding_box

SETTINGS = (
    Setting(
        "clip_model",
        None,
        {"type": ["string", "null"]},
        meaning="Folder or hub name of a CLIP model on this machine, for the CLIP metrics.",
    ),
    Setting(
        "clip_frame",
        "head",
        {"enum": ["head", "whole"]},
        meaning="What CLIP sees of a view, on gray: the head in its own square, or the whole frame "
        "as in the code of Instruct-NeRF2NeRF.",
    ),
    Setting(
        "clip_revision",
        None,
        {"type": ["string", "null"], "pattern": "^[0-9a-f]{40}$"},
        meaning="Commit of a CLIP model on the model hub, 40 hex digits: a name alone may mean "
        "other weights tomorrow. null only beside a folder.",
        names_weights=True,
    ),
)

# The background behind all heads, so that backgrounds do not add to the difference.
GRAY = 0.5
_DOWNLOADED = ("*.json", "*.txt", "model.safetensors")
_FILES = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer_config.json")


def clip_files(model: str | None, revision: str | None = None) -> list[Path]:
    """The files of a CLIP model: a folder, or a name in the hub's cache.

    Args:
        model: The folder or the name.
        revision: Commit on the hub, which a name needs.

    Raises:
        InputError: no model is named, a name has no revision, or a file is missing, with where it
            was looked for.
    """
    if not model:
        raise InputError(
            "metrics.clip_model is null: CLIP metrics need a folder or the hub name of a CLIP model"
            " (such as openai/clip-vit-base-patch32) that is on this machine; name it, or take "
            "them out of metrics.names"
        )
    if Path(model).is_dir():
        paths = [Path(model, name) for name in _FILES]
    else:
        from huggingface_hub import try_to_load_from_cache

        _check_revision(model, revision)
        found = [try_to_load_from_cache(model, name, revision=revision) for name in _FILES]
        paths = [
            Path(path) if isinstance(path, str) else Path("hub cache", model, name)
            for path, name in zip(found, _FILES, strict=True)
        ]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"{path} is missing: metrics.clip_model = {model!r} is neither a folder with "
                f"{', '.join(_FILES)} nor in the hub's cache; download the model, or take the CLIP "
                "metrics out of metrics.names"
            )
    return paths


def download_clip(model: str | None, revision: str | None = None) -> list[Path]:
    """A CLIP model of the model hub, in the hub's cache; nothing for a folder.

    Raises:
        InputError: the name has no revision.
    """
    if not model or Path(model).is_dir():
        return []
    from huggingface_hub import snapshot_download

    _check_revision(model, revision)
    folder = snapshot_download(model, revision=revision, allow_patterns=list(_DOWNLOADED))
    return sorted(path for path in Path(folder).iterdir() if path.is_file())


def _check_revision(model: str, revision: str | None) -> None:
    """A commit stands for its files: the hub's cache files them by their digests."""
    if revision is None:
        raise InputError(
            f"metrics.clip_revision is null, but {model!r} is no folder on this machine and a name"
            " on the model hub needs its commit (40 hex digits, on the model's page under Files,"
            " History); set it, or name a folder"
        )


class Clip:
    """A CLIP model that embeds images and texts as unit vectors.

    Args:
        model: A folder or the name of a model in the hub's cache.
        device: Where it computes.
        revision: Commit on the hub, which a name needs.
        frame: What it sees of a view: `head`, or the `whole` frame.

    Raises:
        InputError: the model is missing or cannot be read.
    """

    def __init__(
        self,
        model: str,
        device: torch.device,
        revision: str | None = None,
        frame: str = "head",
    ) -> None:
        clip_files(model, revision)
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        try:
            self._model = CLIPModel.from_pretrained(
                model, revision=revision or "main", local_files_only=True, use_safetensors=True
            )
            self._tokenizer = AutoTokenizer.from_pretrained(
                model, revision=revision or "main", local_files_only=True
            )
            self._processor = CLIPImageProcessor.from_pretrained(
                model, revision=revision or "main", local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            reason = first_line(error)
            raise InputError(
                f"metrics.clip_model = {model!r} cannot be read as a CLIP model ({reason}); "
                "download it again"
            ) from None
        self._model.eval().to(device)
        self._device = device
        self._frame = frame
        self._seen: tuple[weakref.ref[Scene], tuple[Tensor, Tensor]] | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any], device: torch.device) -> "Clip":
        """The model that the config's section `metrics` names; one for all metrics."""
        keys = ("clip_model", "clip_revision")
        model, revision = (settings.get(key) for key in keys)
        return _shared(model or "", device, revision, settings.get("clip_frame", "head"))

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Tensor]) -> Tensor:
        """Embeddings of square images in [0, 1], `(S, S, 3)` each. Shape `(N, D)`."""
        embeddings = []
        for image in images:
            bytes_ = (image * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
            pixels = self._processor(images=bytes_, return_tensors="pt")["pixel_values"]
            found = self._model.get_image_features(pixel_values=pixels.to(self._device))
            embeddings.append(found.pooler_output[0])
        return torch.nn.functional.normalize(torch.stack(embeddings), dim=1)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts. Shape `(N, D)`."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        found = self._model.get_text_features(**tokens.to(self._device))
        return torch.nn.functional.normalize(found.pooler_output, dim=1)

    def edit_directions(self, scene: Scene) -> Tensor:
        """Direction of each view's edit: E(edited) − E(unedited), unit length. Shape `(V, D)`.

        Raises:
            InputError: the scene has no unedited views.
        """
        edited, before = self.views(scene)
        return torch.nn.functional.normalize(edited - before, dim=1)

    def views(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """Embeddings of the edited and of the unedited views. Shape `(V, D)` each.

        Those of the last scene are kept, as several metrics ask for them.

        Raises:
            InputError: the scene has no unedited views.
        """
        if self._seen is None or self._seen[0]() is not scene:
            self._seen = (weakref.ref(scene), self._embed_views(scene))
        return self._seen[1]

    def caption_direction(self, captions: tuple[str, str]) -> Tensor:
        """T(after) − T(before) of unit length. Shape `(D,)`."""
        before, after = self.embed_texts(captions)
        return torch.nn.functional.normalize(after - before, dim=0)

    def _embed_views(self, scene: Scene) -> tuple[Tensor, Tensor]:
        if scene.unedited is None:
            raise InputError(
                "CLIP metrics compare edits with the unedited views, which are missing; give them,"
                " or take the CLIP metrics out of metrics.names"
            )
        edited, before = [], []
        for colors, own, unedited in zip(
            scene.colors, scene.foreground, scene.unedited, strict=True
        ):
            other = unedited[..., 3] > FOREGROUND_ALPHA
            shown = own | other if self._frame == "head" else torch.ones_like(own)
            edited.append(head_square(colors, own, shown))
            before.append(head_square(unedited[..., :3], other, shown))
        return self.embed_images(edited), self.embed_images(before)


@cache
def _shared(model: str, device: torch.device, revision: str | None, frame: str) -> Clip:
    return Clip(model, device, revision, frame)


def head_square(colors: Tensor, foreground: Tensor, frame: Tensor) -> Tensor:
    """A head on gray in the smallest centered square around `frame`. Shape `(S, S, 3)`.

    Args:
        colors: Shape `(H, W, 3)`.
        foreground: Pixels that keep their color; the others become gray. Shape `(H, W)`, bool.
        frame: Pixels that the square must hold. If empty, it holds the whole image. Shape `(H, W)`,
            bool.
    """
    top, bottom, left, right = bounding_box(frame) or (0, frame.shape[0], 0, frame.shape[1])
    height, width = bottom - top, right - left
    side = max(height, width)
    square = colors.new_full((side, side, 3), GRAY)
    y, x = (side - height) // 2, (side - width) // 2
    inside = foreground[top:bottom, left:right, None]
    head = torch.where(inside, colors[top:bottom, left:right], GRAY)
    square[y : y + height, x : x + width] = head
    return square
