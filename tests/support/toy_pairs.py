"""Training pairs without heads: a colored disc on black, and the disc with other colors."""

import types

import torch
from headstyle_training.heads.pairs import EditBatch


class ToyStream:
    """Draws pairs as `PairStream` does, quickly."""

    def __init__(self, height: int, width: int, seed: int = 0) -> None:
        self.height, self.width = height, width
        self.bank = types.SimpleNamespace(device=torch.device("cpu"))
        self.drawn = 0
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, count, operators=None):
        self.drawn += count

        def chance(*size):
            return torch.rand(count, *size, generator=self._generator)

        y = torch.linspace(-1, 1, self.height)[None, :, None] + 0.4 * (chance(1, 1) - 0.5)
        x = torch.linspace(-1, 1, self.width)[None, None] + 0.4 * (chance(1, 1) - 0.5)
        alpha = (torch.hypot(x, y) < 0.7).float()[:, None]
        colors = chance(3, 1, 1).expand(-1, -1, self.height, self.width)
        red = (chance(1) < 0.5)[:, 0]
        target = torch.where(red[:, None], torch.tensor([0.9, 0, 0]), torch.tensor([0, 0, 0.9]))
        edited = target[:, :, None, None].expand_as(colors)
        return EditBatch(
            photographs=torch.cat([colors * alpha, alpha], dim=1),
            edited=torch.cat([edited * alpha, alpha], dim=1),
            instructions=["Make it red" if r else "Make it blue" for r in red.tolist()],
            operators=torch.zeros(count, dtype=torch.long),
            strengths=torch.ones(count),
            concerned=alpha[:, 0] > 0,
        )
