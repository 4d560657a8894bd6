"""The nano autoencoder: whitened, signed, best for its size."""

from __future__ import annotations

import torch

from baselines.nano.codec import PatchCodec

SIDE, CHANNELS = 8, 12


def frames(count: int = 60, seed: int = 0) -> torch.Tensor:
    """Smooth coloured pictures [N, 3, 32, 64] in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 8, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(32, 64), mode="bilinear")


def fitted(channels: int = CHANNELS) -> PatchCodec:
    codec = PatchCodec(SIDE, channels)
    codec.fit(frames())
    return codec


def test_latents_have_mean_0_and_variance_1() -> None:
    latents = fitted().encode(frames())
    assert latents.shape == (60, CHANNELS, 4, 8)
    flat = latents.movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(flat.mean(0), torch.zeros(CHANNELS), atol=1e-3, rtol=0)
    torch.testing.assert_close(flat.T @ flat / len(flat), torch.eye(CHANNELS), atol=1e-3, rtol=0)


def test_more_channels_lose_less_and_all_lose_nothing() -> None:
    x = frames(8, seed=1)
    errors = [
        float((codec.decode(codec.encode(x)) - x).square().mean())
        for codec in (fitted(4), fitted(16), fitted(3 * SIDE**2))
    ]
    assert errors[0] > 2 * errors[1] and errors[1] > errors[2] and errors[2] < 1e-6


def test_colour_is_kept_before_brightness() -> None:
    """Equally strong patterns in brightness and in colour: one component keeps the colour."""
    generator = torch.Generator().manual_seed(0)
    bright = torch.randn(400, 1, 1, 1, generator=generator).expand(400, 3, SIDE, SIDE)
    colour = (
        torch.randn(400, 1, 1, 1, generator=generator)
        * torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    )
    codec = PatchCodec(SIDE, 1)
    codec.fit(0.1 * (bright + colour.expand(400, 3, SIDE, SIDE)))
    kept = codec.decode(codec.encode(0.1 * colour.expand(400, 3, SIDE, SIDE)))
    lost = codec.decode(codec.encode(0.1 * bright))
    assert kept.std() > 5 * lost.std()


def test_components_do_not_depend_on_the_order_of_frames() -> None:
    one, other = PatchCodec(SIDE, CHANNELS), PatchCodec(SIDE, CHANNELS)
    one.fit(frames())
    other.fit(frames().flip(0))
    torch.testing.assert_close(one.encoder, other.encoder, atol=1e-3, rtol=1e-3)
    assert not any(parameter.requires_grad for parameter in one.parameters())
