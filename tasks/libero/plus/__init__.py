"""LIBERO-Plus' suites, as entry points: seven axes, four suites of LIBERO each, and one more axis.

LIBERO-Plus: https://github.com/sylvestf/LIBERO-plus. What is made of it: docs/robustness.md.
"""

from functools import partial

from tasks.libero.plus.suite import PlusSuite

libero_plus_camera_spatial = partial(PlusSuite, "camera", "spatial")
libero_plus_camera_object = partial(PlusSuite, "camera", "object")
libero_plus_camera_goal = partial(PlusSuite, "camera", "goal")
libero_plus_camera_10 = partial(PlusSuite, "camera", "10")
libero_plus_robot_spatial = partial(PlusSuite, "robot", "spatial")
libero_plus_robot_object = partial(PlusSuite, "robot", "object")
libero_plus_robot_goal = partial(PlusSuite, "robot", "goal")
libero_plus_robot_10 = partial(PlusSuite, "robot", "10")
libero_plus_language_spatial = partial(PlusSuite, "language", "spatial")
libero_plus_language_object = partial(PlusSuite, "language", "object")
libero_plus_language_goal = partial(PlusSuite, "language", "goal")
libero_plus_language_10 = partial(PlusSuite, "language", "10")
libero_plus_light_spatial = partial(PlusSuite, "light", "spatial")
libero_plus_light_object = partial(PlusSuite, "light", "object")
libero_plus_light_goal = partial(PlusSuite, "light", "goal")
libero_plus_light_10 = partial(PlusSuite, "light", "10")
libero_plus_background_spatial = partial(PlusSuite, "background", "spatial")
libero_plus_background_object = partial(PlusSuite, "background", "object")
libero_plus_background_goal = partial(PlusSuite, "background", "goal")
libero_plus_background_10 = partial(PlusSuite, "background", "10")
libero_plus_noise_spatial = partial(PlusSuite, "noise", "spatial")
libero_plus_noise_object = partial(PlusSuite, "noise", "object")
libero_plus_noise_goal = partial(PlusSuite, "noise", "goal")
libero_plus_noise_10 = partial(PlusSuite, "noise", "10")
libero_plus_layout_spatial = partial(PlusSuite, "layout", "spatial")
libero_plus_layout_object = partial(PlusSuite, "layout", "object")
libero_plus_layout_goal = partial(PlusSuite, "layout", "goal")
libero_plus_layout_10 = partial(PlusSuite, "layout", "10")
libero_plus_robot_posed_spatial = partial(PlusSuite, "robot", "spatial", posed=True)
libero_plus_robot_posed_object = partial(PlusSuite, "robot", "object", posed=True)
libero_plus_robot_posed_goal = partial(PlusSuite, "robot", "goal", posed=True)
libero_plus_robot_posed_10 = partial(PlusSuite, "robot", "10", posed=True)
