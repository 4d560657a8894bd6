"""The nano autoencoder: a square of pixels as its first principal components, whitened.

A model of width 96 cannot denoise all the numbers of a square of pixels: it would have to
carry that much noise through. As at published size, models that predict images therefore work on
latents of an autoencoder that is not trained with them. This one is linear and computed from the
training frames. Colour differences count more than brightness (``CHROMA``), since objects are told
apart by them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

CHROMA = 2.0
# Brightness and the two colour differences of ITU-R BT.601, the latter weighted.
YCC = (
    (0.299, 0.587, 0.114),
    (-0.168736 * CHROMA, -0.331264 * CHROMA, 0.5 * CHROMA),
    (0.5 * CHROMA, -0.418688 * CHROMA, -0.081312 * CHROMA),
)


class PatchCodec(nn.Module):
    """Squares of ``side`` pixels to ``channels`` numbers of mean 0 and variance 1, and back.

    Its parameters are computed by :meth:`fit`, never trained.
    """

    def __init__(self, side: int, channels: int) -> None:
        super().__init__()
        self.side = side
        size = 3 * side**2
        self.mean = _fixed(torch.zeros(size))
        self.encoder = _fixed(torch.zeros(channels, size))
        self.decoder = _fixed(torch.zeros(size, channels))

    @torch.no_grad()
    def fit(self, frames: Tensor) -> None:
        """Compute the components.

        Args:
            frames: [N, 3, h, w] in [-1, 1].
        """
        x = self._squares(frames.double()).movedim(1, -1).flatten(0, -2)
        metric = self._metric().double()  # of a square: YCC of every pixel
        mean = x.mean(dim=0)
        centred = (x - mean) @ metric.T
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        count = self.encoder.shape[0]
        basis = vectors[:, -count:].flip(1)
        # An eigenvector's sign is anyone's choice; ours makes its largest entry positive.
        basis = basis * basis.gather(0, basis.abs().argmax(dim=0)[None]).sign()
        scale = values[-count:].flip(0).clamp_min(1e-8).sqrt()
        self.mean.copy_(mean)
        self.encoder.copy_((basis / scale).T @ metric)
        self.decoder.copy_(torch.linalg.solve(metric, basis * scale))

    def encode(self, image: Tensor) -> Tensor:
        """Latents [..., channels, h / side, w / side] of images [..., 3, h, w]."""
        squares = self._squares(image).movedim(-3, -1) - self.mean
        return (squares @ self.encoder.T).movedim(-1, -3)

    def decode(self, latents: Tensor) -> Tensor:
        """Images [..., 3, h, w] of latents, about."""
        squares = latents.movedim(-3, -1) @ self.decoder.T + self.mean
        return pixel_shuffle(squares.movedim(-1, -3), self.side)

    def _squares(self, image: Tensor) -> Tensor:
        return pixel_unshuffle(image, self.side)

    def _metric(self) -> Tensor:
        """[3 side^2, 3 side^2]: YCC of the pixels of a square, whose channels come first."""
        return torch.kron(torch.tensor(YCC), torch.eye(self.side**2))


def _fixed(tensor: Tensor) -> nn.Parameter:
    """A parameter, so that it is kept with the weights, that no optimiser moves."""
    return nn.Parameter(tensor, requires_grad=False)
