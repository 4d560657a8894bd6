"""FLOPs of a FastWAM in closed form, of every step of its three programs. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from baselines.core.cost import attention, gated_mlp, keys_values, linear, mlp
from baselines.videowam import vae_cost
from baselines.videowam.config import FastWamConfig, Mode, Options, TextEncoderConfig


def flops(config: FastWamConfig, options: Options, mode: Mode) -> Sequence[int]:
    """One integer per step of the mode's program, for one sample.

    No word changes any of them: text is padded, and its padding is read.
    """
    first, clip = config.frame_tokens, config.latent_frames * config.frame_tokens
    words = config.text_length + 1  # one token is proprioception
    video, action = _video(config), _action(config)
    video_text = video.text(words) if options.recompute_text else 0
    action_text = action.text(words) if options.recompute_text else 0

    def clip_pass(*, to_keys: bool) -> int:
        """Video blocks over the clip, or over its later frames if the first one is kept."""
        past = 0 if options.recompute_first_frame else first
        own, times = clip - past, 1 if past else 2
        rows = own if options.time_per_token else times
        return video_text + video.embed(own, rows) + video.run(own, past, words, to_keys=to_keys)

    def first_pass() -> int:
        rows = first if options.time_per_token else 1
        blocks = video.run(first, 0, words, to_keys=options.skip_dead_block)
        return video_text + video.embed(first, rows) + blocks

    def act(cached: int) -> int:
        own = config.horizon
        return action_text + action.embed(own, 1) + action.run(own, cached, words) + action_head

    ran = clip if options.recompute_first_frame else clip - first
    video_head, action_head = video.head(ran), action.head(config.horizon)
    steps = [encode_text(config), observe(config)]
    if not options.recompute_text:
        steps.append(video.text(words) + action.text(words))
    if mode == "plain":
        return [*steps, first_pass(), *[act(first)] * config.steps]
    if not options.recompute_first_frame:
        steps.append(first_pass())
    imagine = clip_pass(to_keys=False) + video_head
    if mode == "joint":
        pair = [imagine, act(clip)]
        if options.masked_corner:  # one pass of both; the action's head is all that remains
            corner = config.layers * attention(ran, config.horizon, video.wide)
            pair = [imagine + act(clip) + corner - action_head, action_head]
        return [*steps, *pair * config.steps]
    decode = []
    if options.decode_video and config.vae:
        size, channels = config.image_size, config.latent_channels
        decode = [vae_cost.decode_clip(config.vae, channels, config.latent_frames, size)]
    return [
        *steps,
        *[imagine] * (config.video_steps or config.steps),
        clip_pass(to_keys=options.skip_dead_block),
        *[act(clip)] * config.steps,
        *decode,
    ]


def observe(config: FastWamConfig) -> int:
    """Latents of the current frame and the token of proprioception."""
    size, channels = config.image_size, config.latent_channels
    image = vae_cost.encode_frame(config.vae, channels, size) if config.vae else 0
    return image + proprioception(config)


def proprioception(config: FastWamConfig) -> int:
    """Its one token."""
    return linear(1, config.proprio_dim, config.text_dim)


def encode_text(config: FastWamConfig) -> int:
    """UMT5 over the padded instruction; 0 where features are given."""
    encoder: TextEncoderConfig | None = config.text_encoder
    if encoder is None:
        return 0
    tokens, width, wide = config.text_length, config.text_dim, encoder.heads * encoder.head_dim
    projections = 3 * linear(tokens, width, wide) + linear(tokens, wide, width)
    seen = attention(tokens, tokens, wide)
    return encoder.layers * (projections + seen + gated_mlp(tokens, width, encoder.ffn))


class _Expert(NamedTuple):
    """A Wan transformer; ``inputs`` and ``outputs`` are the channels of one token."""

    layers: int
    width: int
    wide: int  # of its attention
    ffn: int
    freq_dim: int
    text_dim: int
    inputs: int
    outputs: int

    def text(self, words: int) -> int:
        """The text's projection, and its keys and values in every layer."""
        projection = mlp(words, self.text_dim, self.width, self.width)
        return projection + self.layers * keys_values(words, self.width, self.wide)

    def embed(self, tokens: int, times: int) -> int:
        """Tokens from latents or actions, modulations from so many rows of timesteps."""
        time = mlp(times, self.freq_dim, self.width, self.width, 6 * self.width)
        return linear(tokens, self.inputs, self.width) + time

    def run(self, tokens: int, past: int, words: int, *, to_keys: bool = False) -> int:
        """All blocks; ``to_keys``: of the last one the keys and values alone."""
        own = keys_values(tokens, self.width, self.wide)
        # Queries and output of both attentions.
        rest = 2 * linear(tokens, self.width, self.wide) + 2 * linear(tokens, self.wide, self.width)
        rest += attention(tokens, past + tokens, self.wide) + attention(tokens, words, self.wide)
        rest += mlp(tokens, self.width, self.ffn, self.width)
        return self.layers * own + (self.layers - to_keys) * rest

    def head(self, tokens: int) -> int:
        """Velocities of tokens."""
        return linear(tokens, self.width, self.outputs)


def _video(config: FastWamConfig) -> _Expert:
    wide = config.heads * config.head_dim
    channels = config.latent_channels * config.patch[0] * config.patch[1] * config.patch[2]
    sizes = (config.layers, wide, wide, config.video_ffn, config.freq_dim, config.text_dim)
    return _Expert(*sizes, inputs=channels, outputs=channels)


def _action(config: FastWamConfig) -> _Expert:
    wide, width = config.heads * config.head_dim, config.action_hidden
    sizes = (config.layers, width, wide, config.action_ffn, config.freq_dim, config.text_dim)
    return _Expert(*sizes, inputs=config.action_dim, outputs=config.action_dim)
