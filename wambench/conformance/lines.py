"""The lines in their order, each with the pitfall that it is there for."""

from __future__ import annotations

from wambench.conformance import acting, answering, hearing, seeing
from wambench.conformance.line import Line

PITFALLS = "vla-eval common-pitfalls"

LINES = (
    Line(
        "chunk length",
        "every answer holds as many actions as declared, and no fewer than are executed",
        "a chunk of another length is cut, or executed too long",
        answering.chunk_length,
        f"lerobot #4614; {PITFALLS}",
        "-20 points (50 instead of 10 actions executed)",
    ),
    Line(
        "action range",
        "numbers lie in the suite's range",
        "wrong or missing statistics: what is too large is clipped in silence",
        answering.action_range,
        f"openvla #203; dexbotic PR 82; {PITFALLS}",
        "to 0 of 500 episodes",
    ),
    Line(
        "determinism",
        "the same observation twice gives the same answer to the bit",
        "answers depend on how often or in which order was asked",
        answering.determinism,
        "strands #179; openvla #172",
        "2 to 5 of 5 episodes with one seed",
    ),
    Line(
        "noise seed",
        "noise is that of the observation's seed, whatever was drawn before",
        "the seed does not reach the policy",
        answering.noise,
        "strands PR 3870",
    ),
    Line(
        "batch",
        "an answer is the same alone and among others",
        "padding or shared state lets neighbours in a batch move each other's actions",
        answering.batch,
        "openvla #189; babyai PR 65",
    ),
    Line(
        "NaN",
        "a state of NaN is refused, or answered with numbers",
        "a broken sensor becomes a broken command, and an episode counts as the robot's failure",
        answering.not_a_number,
    ),
    Line(
        "inputs",
        "every camera and state that is asked for moves the answer",
        "one camera of two is sent, or a state is left out",
        answering.inputs,
        "starVLA PR 261; vla-eval PR 16",
    ),
    Line(
        "instruction",
        "another instruction changes the answer",
        "the policy is deaf: it plays one task, or what the scene suggests",
        hearing.instruction,
        "openvla-oft #95",
        "OFT without words: 97 % where the scene tells the task, 9 % where one scene has ten",
    ),
    Line(
        "empty instruction",
        "an empty instruction is refused, or at least not answered as if it were there",
        "the instruction is lost on the wire",
        hearing.empty_instruction,
        "strands #187, #169",
        "5 of 5 episodes to 0 to 3 of 5",
    ),
    Line(
        "orientation",
        "pictures turned otherwise make the policy worse",
        "pictures are upside down or mirrored against those it was trained on",
        seeing.orientation,
        "openvla #295; lerobot #3830; strands PR 172",
        "5 of 5 episodes to 0 of 5",
    ),
    Line(
        "camera order",
        "cameras swapped make the policy worse",
        "pictures are taken by place where names were meant, or the other way round",
        seeing.camera_order,
        "starVLA PR 261; vla-eval PR 16",
    ),
    Line(
        "rotation sign",
        "a rotation flipped to w >= 0 makes the policy worse",
        "near w = 0, where a gripper that points down is, the flip negates the whole vector",
        seeing.rotation_sign,
        PITFALLS,
        "-14 points (OFT, Goal 97 to 83), -39 (Long 95 to 56)",
    ),
    Line(
        "state order",
        "the state's numbers in another order make the policy worse",
        "fingers swapped or one sent twice, position and rotation in each other's place",
        seeing.state_order,
        "strands PR 168",
    ),
    Line(
        "gripper sign",
        "the gripper negated is farther from the expert's",
        "-1 opens in one convention and closes in the other",
        acting.gripper_sign,
        f"vla-eval PR 16; {PITFALLS}",
        "to about 1 %",
    ),
    Line(
        "gripper scale",
        "the gripper read as 0 to 1 is farther from the expert's",
        "0 and 1 where -1 and 1 are meant: a threshold at 0 never opens",
        acting.gripper_scale,
        PITFALLS,
    ),
    Line(
        "sideways",
        "motion reflected left to right is farther from the expert's",
        "a policy that acts on the mirror image, or in another frame",
        acting.sideways,
        "strands PR 172",
    ),
    Line(
        "units",
        "translations taken for metres are farther from the expert's",
        "metres where steps of the controller are meant",
        acting.units,
    ),
)
