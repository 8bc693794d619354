"""The editor around a pipeline of diffusers: batches, seeds, sizes, alpha and memory."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import diffusers
import torch

from headstyle.base.errors import InputError, first_line
from headstyle.base.images import RgbaImage
from headstyle.editing.base import Instruction, View, one_each
from headstyle.editing.memory import DeviceMemory, check_weights_fit
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.folders import PipelineFolder
from headstyle.editing.pipelines.pictures import Frame

if TYPE_CHECKING:
    from headstyle.editing.pipelines.kind import PipelineKind

logger = logging.getLogger("headstyle.editing")


@dataclass
class PipelineEditor:
    """A loaded pipeline and the settings of its editor."""

    kind: "type[PipelineKind]"
    """The editor's module."""
    pipeline: Any
    """Instance of the kind's pipeline class."""
    settings: Mapping[str, Any]
    """The editor's own settings, as `editing.NAME` has them."""
    device: torch.device
    """Where the networks run."""
    about: Mapping[str, Any]
    """Model, revision and license, for `describe`."""
    memory: DeviceMemory = field(init=False)
    """Memory of the device."""

    # A pipeline's bytes may depend on the other views of a batch.
    shares_batches = False

    def __post_init__(self) -> None:
        self.memory = DeviceMemory(self.device)
        self.together = min(self.settings.get("batch_size") or 8, self.kind.most_together)
        self._used: set[int] = set()
        self.pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_config(
        cls, kind: "type[PipelineKind]", editing: Mapping[str, Any], device: str
    ) -> "PipelineEditor":
        """Load the pipeline that the config's section `editing` names; from local files only.

        Raises:
            InputError: it is missing, of another class, incomplete or too large for the device.
        """
        own, folder = kind.own(editing), kind.folder(editing)
        folder.files()
        on_gpu = torch.device(device).type == "cuda"
        dtype = getattr(torch, own["dtype"]) if on_gpu else torch.float32
        offloads = own.get("cpu_offload", False) and on_gpu
        others = "take a smaller model or a device with more memory"
        if on_gpu and not offloads:
            others = f"set editing.{kind.name}.cpu_offload to true, or {others}"
        check_weights_fit(
            kind.model_key(), folder.parameters(), dtype, device, others, one_at_a_time=offloads
        )
        pipeline = _loaded(kind, folder, dtype)
        if offloads:
            pipeline.enable_model_cpu_offload(device=device)
        else:
            pipeline.to(device)
        about = {
            "model": own["model"],
            "revision": folder.revision() or own["revision"],
            "license": kind.license(editing),
            "dtype": str(dtype).removeprefix("torch."),
        }
        return cls(kind, pipeline, own, torch.device(device), about)

    def describe(self) -> dict[str, Any]:
        """The model, its license and the settings that shape an edit."""
        shaping = set(self.settings) - {"model", "revision", "dtype", "cpu_offload", "batch_size"}
        return {
            "editor": self.kind.name,
            **self.about,
            "pipeline": self.kind.pipeline_class,
            **{key: self.settings[key] for key in sorted(shaping)},
        }

    def describe_machine(self) -> dict[str, Any]:
        """Device, batch sizes, and the largest memory that was allocated on the device."""
        return {
            "device": str(self.device),
            "batch_sizes": sorted(self._used),
            "peak_memory_bytes": self.memory.peak_bytes(),
        }

    def expect(self, views: int) -> None:
        """Do nothing: a pipeline needs no preparation."""

    @torch.inference_mode()
    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """The edited views, in the given order. Views of one size and strength share a call.

        Raises:
            InputError: not even one view fits into the GPU's memory.
        """
        chosen = one_each(views, instructions)
        edited: dict[int, RgbaImage] = {}
        for batch in self._batches(views, chosen):
            images = self._edit_batch([views[i] for i in batch], [chosen[i] for i in batch])
            edited.update(zip(batch, images, strict=True))
            logger.info("%d of %d views edited", len(edited), len(views))
        return [edited[i] for i in range(len(views))]

    def _batches(
        self, views: Sequence[View], instructions: Sequence[Instruction]
    ) -> Iterator[list[int]]:
        """Indices of views of one size and strength, as many as are edited together."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for i, (view, instruction) in enumerate(zip(views, instructions, strict=True)):
            key = (view.photograph.shape, instruction.text_guidance, len(view.references))
            alike.setdefault(key, []).append(i)
        for indices in alike.values():
            while indices:
                # Read it each time, because it is lowered when memory runs out.
                together = self.together
                yield indices[:together]
                indices = indices[together:]

    def _edit_batch(
        self, views: Sequence[View], instructions: Sequence[Instruction]
    ) -> list[RgbaImage]:
        height, width = views[0].photograph.shape[:2]
        edited = None
        try:
            edited = self._called(views, instructions)
        except torch.OutOfMemoryError:
            if len(views) == 1:
                raise InputError(
                    f"one view of {width}x{height} px does not fit into the GPU's memory; set "
                    f"editing.{self.kind.name}.cpu_offload to true, or images.size_px lower"
                ) from None
        # This is outside of the handler, where no reference keeps the memory of the failed batch.
        if edited is None:
            self.memory.release()
            half = (len(views) + 1) // 2
            self.together = half
            logger.warning("out of GPU memory with %d views; continuing with %d", len(views), half)
            return [
                *self._edit_batch(views[:half], instructions[:half]),
                *self._edit_batch(views[half:], instructions[half:]),
            ]
        self._used.add(len(views))
        return edited

    def _called(
        self, views: Sequence[View], instructions: Sequence[Instruction]
    ) -> list[RgbaImage]:
        """Edit views of one size in one call of the pipeline."""
        frame = self._frame(views[0].photograph)
        call = Call(
            pictures=[frame.picture(view.photograph) for view in views],
            references=[
                [self._frame(image).picture(image) for image in view.references] for view in views
            ],
            texts=[instruction.text for instruction in instructions],
            knobs={"text_guidance": instructions[0].text_guidance},
            # Draw on the CPU, so that the noise is the same on every machine.
            generators=[torch.Generator().manual_seed(i.seed) for i in instructions],
            settings=self.settings,
        )
        edited = self.kind.call(self.pipeline, call)
        return [
            frame.view(image, view.photograph) for image, view in zip(edited, views, strict=True)
        ]

    def _frame(self, image: RgbaImage) -> Frame:
        red, green, blue = self.settings["background"]
        height, width, _ = image.shape
        return Frame(
            height,
            width,
            self.kind.multiple_px,
            self.kind.least_px,
            self.settings.get("megapixels"),
            (red, green, blue),
        )


def _loaded(kind: "type[PipelineKind]", folder: PipelineFolder, dtype: torch.dtype) -> Any:
    try:
        return getattr(diffusers, kind.pipeline_class).from_pretrained(
            folder.path, dtype=dtype, use_safetensors=True, local_files_only=True
        )
    except Exception as error:
        raise InputError(
            f"{folder.key}: {folder.path} cannot be loaded as {kind.pipeline_class} "
            f"({first_line(error)}); provide it again"
        ) from error
