"""Make LIBERO compile what only LIBERO-Plus knows: its classes of problems, pictures and objects.

Only names are added to LIBERO's own tables, so what it could open before it opens as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tasks.libero import runtime
from tasks.libero.plus.scenes import Scene

# Of every object in the wheel's envs/objects/custom_objects.py: how it lies when it is placed.
ROTATION = {"x": (-np.pi / 2,) * 2, "y": (-np.pi,) * 2, "z": (np.pi,) * 2}
JOINT = {"type": "free", "damping": "0.0005"}


def prepare(scene: Scene) -> Mapping[str, Any]:
    """Introduce a scene to LIBERO; returns what its problem class takes as keyword arguments."""
    runtime.simulation_modules()
    if scene.stands_for:
        _introduce_problem(scene)
    if scene.pictures:
        from libero.libero.envs.arenas.style import STYLE_MAPPING

        for kind, style, name in scene.pictures:
            STYLE_MAPPING[kind].setdefault(style, name)
    if scene.objects:
        from libero.libero.envs.base_object import OBJECTS_DICT

        for category, path in scene.objects:
            OBJECTS_DICT[category] = _object_class(category, path)
    arena: dict[str, Any] = {}
    if scene.file is not None:
        arena["scene_xml"] = str(scene.file)
    if scene.styles:
        arena["scene_properties"] = dict(scene.styles)
    return arena


def _introduce_problem(scene: Scene) -> None:
    """LIBERO holds a class's name against the BDDL's, so one of that name is derived."""
    from libero.libero.envs.bddl_base_domain import TASK_MAPPING
    from libero.libero.envs.regions import REGION_SAMPLERS

    name, known = problem_name(scene.goals), scene.stands_for.lower()
    if name not in TASK_MAPPING:
        TASK_MAPPING[name] = type(name, (TASK_MAPPING[known],), {})
        REGION_SAMPLERS[name] = REGION_SAMPLERS[known]


def problem_name(goals: Path) -> str:
    """The problem class that a BDDL names, in lower case."""
    return goals.read_text().split("(problem", 1)[1].split(")", 1)[0].strip().lower()


def _object_class(category: str, path: Path) -> Any:
    from robosuite.models.objects import MujocoXMLObject

    class Added(MujocoXMLObject):
        """An object of LIBERO-Plus, as its ``CustomObjects`` are."""

        def __init__(self, name: str) -> None:
            super().__init__(
                str(path), name=name, joints=[JOINT], obj_type="all",
                duplicate_collision_geoms=False,
            )  # fmt: skip
            self.category_name = category
            self.object_properties: dict[str, Any] = {"vis_site_names": {}}
            self.rotation, self.rotation_axis = ROTATION, None

        def _get_object_subtree(self) -> Any:
            """Upstream takes objects without the outer body that robosuite wants, too."""
            inner = self.worldbody.find("./body[@name='object']")
            if inner is None:
                return super()._get_object_subtree()
            outer = ElementTree.SubElement(self.worldbody, "body")
            self.worldbody.remove(inner)
            outer.append(inner)
            found = super()._get_object_subtree()
            self.worldbody.remove(outer)
            self.worldbody.append(inner)
            return found

    return Added
