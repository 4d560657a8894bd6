"""Closed forms of cost against torch's counter, against the authors' modules and the paper."""

import functools
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.core.card import Card
from baselines.core.inputs import Inputs
from baselines.core.options import RunOptions
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO, LIBERO_LEROBOT, LIBERO_OFT, LIBERO_OPENPI
from baselines.imagewam.flux2 import config as imagewam
from baselines.imagewam.flux2 import cost as imagewam_cost
from baselines.imagewam.flux2 import vae_cost as flux_vae
from baselines.imagewam.flux2.policy import Flux2Options, Flux2Policy
from baselines.imagewam.omnigen2 import config as omnigen2
from baselines.imagewam.omnigen2 import cost as omnigen2_cost
from baselines.imagewam.omnigen2.policy import OmniGen2Options, OmniGen2Policy
from baselines.nano.config import NANO
from baselines.videowam import config as videowam
from baselines.videowam import cost as videowam_cost
from baselines.videowam import vae_cost as wan_vae
from baselines.videowam.policy import FastWamOptions, FastWamPolicy
from baselines.vla.oft import config as oft
from baselines.vla.oft import cost as oft_cost
from baselines.vla.oft.policy import OftOptions, OftPolicy
from baselines.vla.pi0 import config as pi0
from baselines.vla.pi0 import cost as pi0_cost
from baselines.vla.pi0.policy import Pi0Options, Pi0Policy
from baselines.vla.smolvla import config as smolvla
from baselines.vla.smolvla import cost as smolvla_cost
from baselines.vla.smolvla.policy import SmolVLAOptions, SmolVLAPolicy
from tests.releases import FASTWAM, IMAGEWAM, OFT_TINY, OMNIGEN2, PI0, SMOLVLA
from tests.test_learned_policies import PUBLISHED
from wambench import Policy, UserError, plugins
from wambench.profile.observations import INSTRUCTION, observations

FLOWS = ("imagine", "act")  # stages with many steps that are alike


def check(policy: Policy, samples: int | None = None) -> None:
    """Compare every step's closed form with what torch counts in it on meta.

    Args:
        policy: any with a closed form.
        samples: so many steps of each flow are run, the first ones; None: all. At published size
            their number is left to the tiny models, which show that the later steps are alike.
    """
    if isinstance(policy, LearnedPolicy):
        policy.build = functools.partial(built, policy)  # type: ignore[method-assign]
    inference = policy.inference("meta")
    assert inference is not None and inference.flops is not None
    state = inference.state(observations(policy.spec, 1))
    done: Counter[str] = Counter()
    for step, expected in zip(inference.program.steps, inference.flops, strict=True):
        done[step.stage] += 1
        if step.stage in FLOWS and samples is not None and done[step.stage] > samples:
            continue
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            step.run(state)
        assert type(expected) is int
        assert counter.get_total_flops() == expected, (step.stage, done[step.stage])
    assert inference.action(state).is_meta
    for stage in FLOWS:
        places = [i for i, step in enumerate(inference.program.steps) if step.stage == stage]
        assert len({inference.flops[i] for i in places[1:]}) <= 1  # the first may do more


_BUILT: dict[str, Any] = {}


def built(policy: LearnedPolicy) -> Any:
    """A model on meta, one for all policies of its architecture."""
    key = repr((type(policy), policy.card.architecture))
    if key not in _BUILT:
        _BUILT[key] = type(policy).build(policy)
    return _BUILT[key]


# --- published and nano sizes --------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["released", "best-exact"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_steps_cost_what_torch_counts(name: str, preset: str) -> None:
    samples = 2 if name.startswith("pi") else 1  # whose first step may do more than the others
    check(plugins.make_policy(name, {"preset": preset}), samples)


@pytest.mark.parametrize("name", NANO)
def test_nano_steps_cost_what_torch_counts(name: str) -> None:
    check(plugins.make_policy(name, {}))


# --- every saving and every size, on tiny models -------------------------------------------------


class FastWamOnLatents(FastWamPolicy):
    """Without the autoencoder, whose layers are as many in a tiny one."""

    def state(self, inputs: Inputs) -> Any:
        state = super().state(inputs)
        state.first_frame = state.noise_video[:, :, :1]
        return state


def tiny(kind: Any, options: RunOptions, architecture: Any, *extra: Any) -> LearnedPolicy:
    robots = {Pi0Policy: LIBERO_OPENPI, OftPolicy: LIBERO_OFT, SmolVLAPolicy: LIBERO_LEROBOT}
    robot = robots.get(kind, LIBERO)
    side = 28 if kind in (Pi0Policy, OftPolicy) else 32
    card = Card(
        name="tiny", about="tiny", paradigm="tiny", package="baselines.core",
        robot=replace(robot, image_size=(side, side)), architecture=architecture, parameters={},
        replan_steps=3,
    )  # fmt: skip
    return kind(card, options, *extra)


def check_all(policy: LearnedPolicy, base: Any, other: Any) -> None:
    """Every option of ``base`` once as in ``other``."""
    for name in type(base).model_fields:
        chosen = base.model_copy(update={name: getattr(other, name)})
        policy.savings = lambda chosen=chosen: chosen  # type: ignore[method-assign]
        check(policy)


def test_every_saving_of_imagewam() -> None:
    policy = tiny(Flux2Policy, Flux2Options(imagine_steps=1, steps=1), IMAGEWAM)
    check_all(policy, imagewam.BEST_EXACT, imagewam.RELEASED)


def test_every_saving_of_omnigen2() -> None:
    for changes in (
        {"proprio_place": "as_trained"},
        {"reads": "noise"},
        {"reads": "half_denoised"},
    ):
        config = OMNIGEN2.model_copy(update=changes)
        policy = tiny(OmniGen2Policy, OmniGen2Options(imagine_steps=1, steps=1), config)
        check_all(policy, omnigen2.BEST_EXACT, omnigen2.RELEASED)


@pytest.mark.parametrize("mode", ["plain", "joint", "idm"])
def test_every_saving_of_fastwam(mode: str) -> None:
    architecture = FASTWAM.model_copy(update={"vae": None, "steps": 1})
    policy = tiny(FastWamOnLatents, FastWamOptions(), architecture, mode)
    check_all(policy, videowam.BEST_EXACT, videowam.RELEASED)
    if mode == "joint":  # whose pass of both experts takes every other option
        check_all(policy, videowam.RELEASED, videowam.BEST_EXACT)


@pytest.mark.parametrize("variant", ["pi0", "pi05"])
def test_every_saving_of_pi0(variant: str) -> None:
    architecture = PI0.model_copy(update={"variant": variant, "kv_heads": 2, "steps": 2})
    check_all(tiny(Pi0Policy, Pi0Options(), architecture), pi0.BEST_EXACT, pi0.RELEASED)


def test_every_saving_of_smolvla() -> None:
    for layers in (4, 5):  # the last one reads the cache alone, or the chunk too
        config = SMOLVLA.model_copy(update={"layers": layers})
        policy = tiny(SmolVLAPolicy, SmolVLAOptions(), config)
        check_all(policy, smolvla.BEST_EXACT, smolvla.RELEASED)


def test_every_saving_of_oft() -> None:
    check_all(tiny(OftPolicy, OftOptions(), OFT_TINY), oft.BEST_EXACT, oft.RELEASED)


@pytest.mark.parametrize(
    ("mode", "sizes"),
    [
        (None, {"steps": 4}),
        (None, {"picture": (64, 96), "text_length": 48, "imagine_steps": 2}),
        ("joint", {"picture": (64, 96), "text_length": 48, "video_frames": 17}),
        ("idm", {"steps": 3, "video_steps": 2}),
        ("plain", {}),
    ],
)
@pytest.mark.parametrize("preset", ["released", "best-exact"])
def test_sizes_change_the_closed_form(mode: str | None, sizes: dict[str, Any], preset: str) -> None:
    if mode is None:
        policy = tiny(Flux2Policy, Flux2Options(preset=preset, **sizes), IMAGEWAM)
    else:
        policy = tiny(FastWamPolicy, FastWamOptions(preset=preset, **sizes), FASTWAM, mode)
    check(policy)


# --- integers counted on the authors' modules, and the paper's -----------------------------------


def test_imagewams_integers() -> None:
    four, nine = imagewam.PUBLISHED["4b-libero"], imagewam.PUBLISHED["9b-libero"]
    assert four.text and four.vae
    assert imagewam_cost.text(four.text, 512, all_layers=True) == 4_273_425_350_656
    assert flux_vae.encode(four.vae, (224, 448)) == 420_174_626_816
    for config, whole in ((four, 5_828_192_219_136), (nine, 13_115_045_969_920)):
        # FLUX.2 was counted with its head, which a prefill does not run.
        editor = imagewam_cost.editor(config, 513, 392)
        assert editor + imagewam_cost.editor_head(config, 392) == whole
        prefill = imagewam_cost.flops(config, imagewam.RELEASED, 36)[2]
        assert prefill == editor + 2 * 8 * config.text_features  # and proprioception
    assert imagewam_cost.expert(four, 905) == 24_685_707_264


def test_omnigen2s_teraflops() -> None:
    """Counted on the authors' modules: 32 text tokens and proprioception, of 128 and one."""
    totals = {"libero": 3.47, "robotwin": 2.66, "noise-idm": 6.17, "cache-idm": 11.67}
    for name, total in totals.items():
        config = omnigen2.PUBLISHED[name]
        text, *rest = omnigen2_cost.flops(config, omnigen2.RELEASED, 32)
        assert round(sum(rest) / 1e12, 2) == total
        assert config.text and text == omnigen2_cost.text(config.text, 128)
        assert round(text / 1e12, 3) == 0.715
    libero = omnigen2.PUBLISHED["libero"]
    assert libero.vae is not None
    parts = {
        omnigen2_cost.encode(libero.vae, (224, 448)): 0.420,
        omnigen2_cost.refiners(libero, 129, 392, 0): 0.202,
        omnigen2_cost.refiners(libero, 33, 392, 0): 0.164,
        omnigen2_cost.refiners(libero, 129, 392, 392): 0.353,
        omnigen2_cost.joint(libero, 33 + 392): 2.625,
        omnigen2_cost.joint(libero, 129 + 392): 3.234,
        omnigen2_cost.joint(libero, 33 + 784): 5.149,
    }
    for count, expected in parts.items():
        assert round(count / 1e12, 3) == expected
    for cached, expected in ((425, 0.0225), (521, 0.0230), (817, 0.0245)):
        assert round(omnigen2_cost.expert(libero, cached) / 1e12, 4) == expected
    robotwin = omnigen2.PUBLISHED["robotwin"]
    assert robotwin.vae is not None
    assert round(omnigen2_cost.encode(robotwin.vae, (288, 256)) / 1e12, 3) == 0.307
    assert round(omnigen2_cost.joint(robotwin, 33 + 288) / 1e12, 3) == 1.972
    assert round(omnigen2_cost.refiners(robotwin, 129, 288, 0) / 1e12, 3) == 0.161


def test_fastwams_integers() -> None:
    config, released = videowam.LIBERO, videowam.RELEASED
    assert config.vae is not None
    assert videowam_cost.encode_text(config) == 1_191_853_424_640
    assert wan_vae.encode_frame(config.vae, 48, (224, 448)) == 466_403_180_544
    assert wan_vae.decode_clip(config.vae, 48, 3, (224, 448)) == 17_054_668_861_440
    assert videowam_cost.proprioception(config) == 2 * 8 * 4096
    text, vision, prefill, *act = videowam_cost.flops(config, released, "plain")
    assert (text, prefill) == (1_191_853_424_640, 1_024_043_630_592) and len(act) == 10
    assert vision == 466_403_180_544 + 2 * 8 * 4096
    # An action step reads 98 or 294 video tokens.
    assert act[0] == 107_776_966_656 - 30 * 2 * 2 * 32 * (294 - 98) * 3072
    *_, decode = idm = videowam_cost.flops(config, released, "idm")
    assert decode == 17_054_668_861_440
    head = 2 * 294 * 3072 * 192  # of the video, which a prefill does not run
    assert set(idm[2:12]) == {2_790_182_633_472} and idm[12] == 2_790_182_633_472 - head
    assert set(idm[13:23]) == {107_776_966_656}
    joint = videowam_cost.flops(config, released, "joint")
    assert joint[2] + joint[3] == 2_901_427_765_248


@pytest.mark.parametrize(
    ("name", "prefill", "act"), [("pi0", 3.332e12, 0.0386e12), ("pi05", 3.975e12, 0.0079e12)]
)
def test_pi0s_stages(name: str, prefill: float, act: float) -> None:
    config = pi0.PRESETS[name]
    text, vision, prefix, *acts = pi0_cost.flops(config, pi0.RELEASED, 20, cameras=2)
    assert text == 0 and vision == pytest.approx(0.661e12, rel=0.001)
    assert prefix == pytest.approx(prefill, rel=0.001)
    assert acts == [pytest.approx(act, rel=0.01)] * 10
    # 20 words: two of three cameras, 532 tokens of 816 or 968, and no MLP in the last of 18 layers.
    _, seen, shorter, *exact = pi0_cost.flops(config, pi0.BEST_EXACT, 20, cameras=2)
    assert seen * 3 == vision * 2
    assert shorter < prefix * 532 / (config.text_length + 3 * 256) * 17.1 / 18
    assert exact[1] < acts[0] and sum(exact) < sum(acts)


def test_smolvlas_stages() -> None:
    """Worked out by hand: 2 x 64 tokens of images, 12 of text and one of state are 141."""
    config, cached = smolvla.SmolVLAConfig(), 2 * 64 + 12 + 1
    text, vision, prefix, *acts = smolvla_cost.flops(config, smolvla.RELEASED, 12, cameras=2)
    a_token = 4 * 768**2 + 2 * 768 * 3072 + 2 * 1024 * 768  # of one of 12 blocks of the tower
    tower = 1024 * (3 * 16**2 * 768 + 12 * a_token) + 64 * 16 * 768 * 960
    assert (text, vision) == (0, 2 * 2 * tower)
    weights = 2 * 960**2 + 2 * 960 * 320 + 3 * 960 * 2560
    assert prefix == 2 * (16 * cached * (weights + 2 * cached * 960) + 32 * 960)
    ends = 2 * 32 * 720 + 1440 * 720 + 720**2
    both = 2 * 720 * 960 + 3 * 720 * 2048
    own = 50 * (both + 2 * 720 * 320 + 2 * (cached + 50) * 960)
    crossing = cached * 2 * 320**2
    cross = 50 * (both + 2 * cached * 960) + crossing
    assert acts == [2 * (50 * ends + 8 * (own + cross))] * 10
    _, seen, shorter, *exact = smolvla_cost.flops(config, smolvla.BEST_EXACT, 12, cameras=2)
    assert seen == vision and exact == [acts[0] - 2 * 8 * crossing] * 10
    dead = 2 * cached * (weights - 2 * 960 * 320 + 2 * cached * 960)
    assert shorter == prefix - dead + 2 * 8 * crossing


def test_openvla_ofts_stages() -> None:
    """An independent count gave 0.737 (towers), 0.073 (projector), 8.187 (Llama), 0.0024 (head).

    It left the towers' last blocks out, which the release runs.
    """
    _, vision, prefill, act = oft_cost.flops(oft.OFT_LIBERO, oft.RELEASED, 35)
    _, seen, projected, acted = oft_cost.flops(oft.OFT_LIBERO, oft.BEST_EXACT, 35)
    assert seen == pytest.approx(0.737e12, rel=1e-3)
    assert vision == pytest.approx(0.767e12, rel=1e-3)  # + 1 of 23 and 1 of 26 blocks
    assert prefill == projected == pytest.approx(0.0731e12, rel=1e-3)
    assert act == pytest.approx(8.187e12 + 0.0024e12, rel=1e-3)
    logits, dead_rows = 605 * 32064 * 4096 * 2, 605 - 56
    a_row = 2 * (2 * 4096**2 + 3 * 4096 * 11008) + 4 * 605 * 4096  # q, o, MLP, attention
    assert act - acted == logits + dead_rows * a_row


def test_best_exact_idm_saves_a_third() -> None:
    """A warm inference: the text encoder is not run, nor the VAE's decoder."""
    released = sum(videowam_cost.flops(videowam.LIBERO, videowam.RELEASED, "idm")[1:-1])
    exact = sum(videowam_cost.flops(videowam.LIBERO, videowam.BEST_EXACT, "idm")[1:])
    assert released == pytest.approx(32.24e12, rel=1e-3)
    assert exact == pytest.approx(21.13e12, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        ("fastwam-idm", {}, 63.65),
        ("fastwam-idm", {"video_steps": 1}, 13.21),
        ("imagewam-4b", {}, 9.72),
    ],
)
def test_the_papers_table_is_met_without_text_and_decode(
    name: str, options: dict[str, Any], published: float
) -> None:
    paper = plugins.make_policy(name, {}).variants()["paper"]
    policy = plugins.make_policy(paper.policy, {**paper.options, **options})
    inference = policy.inference("meta")
    assert inference is not None and inference.flops is not None
    counted = sum(
        flops
        for step, flops in zip(inference.program.steps, inference.flops, strict=True)
        if step.stage not in ("text", "decode")
    )
    assert counted / 1e12 == pytest.approx(published, rel=0.006)


def test_a_closed_form_needs_no_torch() -> None:
    code = (
        "import sys; from wambench import plugins\n"
        f"for name in {[n for n in PUBLISHED if 'wam' in n]!r}:\n"
        "    assert all(plugins.make_policy(name, {}).flops(36))\n"
        "assert len(plugins.make_policy('pi0', {}).flops(13)) == 13\n"
        "assert len(plugins.make_policy('smolvla', {}).flops(13)) == 13\n"
        "assert len(plugins.make_policy('openvla-oft', {}).flops(31)) == 4\n"
        "from baselines.nano.config import NANO; from baselines.nano.cost import flops\n"
        f"assert all(sum(flops(nano, {INSTRUCTION!r})) for nano in NANO.values())\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_size_must_fit_before_its_cost_is_asked_for() -> None:
    with pytest.raises(UserError, match="picture"):
        plugins.make_policy("imagewam-4b", {"picture": (321, 640)})
