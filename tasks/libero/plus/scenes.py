"""What must be compiled for a variant, where it lies, and what is missing for it.

Lights, most backgrounds and added objects come in an archive of 6.4 GB that no package index has:
``WAMBENCH_LIBERO_PLUS_ASSETS`` names the folder it was unpacked to. Which scene file or pictures a
task has is said by the problem class that its BDDL names, in generated code of the wheel.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.libero import runtime
from tasks.libero.plus import wheel
from tasks.libero.plus.variants import Variant
from wambench.errors import UserError

ASSETS = "WAMBENCH_LIBERO_PLUS_ASSETS"
LOCK = f"needs LIBERO-Plus' assets (6.4 GB); unpack their archive and name its folder in {ASSETS}"
PROBLEMS = ("floor", "kitchen_tabletop", "living_room_tabletop", "study_tabletop", "tabletop")
STYLED = "scenes/libero_floor_base_style.xml"  # what classes that name pictures only look like
OBJECTS = "envs/objects/custom_objects.py"


@dataclass(frozen=True)
class Scene:
    """What to compile.

    Attributes:
        goals: the BDDL.
        stands_for: the class of LIBERO's problems to take where the BDDL names one that only
            LIBERO-Plus has; empty: LIBERO has it.
        file: the scene's XML; None: the class's own.
        styles: "floor_style" and "wall_style" -> a name.
        pictures: kind ("floor", "wall") -> name of a style -> file, of those LIBERO may not know.
        objects: category -> XML of what LIBERO lacks.
    """

    goals: Path
    stands_for: str = ""
    file: Path | None = None
    styles: tuple[tuple[str, str], ...] = ()
    pictures: tuple[tuple[str, str, str], ...] = ()
    objects: tuple[tuple[str, Path], ...] = ()

    def files(self) -> Iterator[Path]:
        """What it takes besides LIBERO's own files and the BDDL."""
        if self.file is not None:
            yield self.file
            textures = textures_beside(self.file)
            yield from (textures / name for _, _, name in self.pictures)
        yield from (path for _, path in self.objects)


def scene_of(suite: str, variant: Variant) -> Scene:
    """The scene of a variant of ``libero_spatial``, …; raises UserError if it is locked."""
    if not variant.own_goals:
        return Scene(runtime.bddl_path(suite, f"{variant.base}.bddl"))
    goals = wheel.goal_file(suite, variant.goals)
    if variant.added:
        folder = assets()
        return Scene(goals, objects=tuple((c, folder / path) for c, path in _added(goals)))
    if variant.axis == "layout":
        return Scene(goals)
    return _of_class(goals)


def lock_of(suite: str, variant: Variant) -> str:
    """Why a variant cannot be run, in one line; empty if it can."""
    if not variant.own_goals or (variant.axis == "layout" and not variant.added):
        return ""
    try:
        missing = next(
            (file for file in scene_of(suite, variant).files() if not file.exists()), None
        )
    except UserError as error:
        return str(error)
    return f"{missing} is missing; {ASSETS} must name the whole archive" if missing else ""


def assets() -> Path:
    """The folder of LIBERO-Plus' assets; raises UserError where there is none.

    The archive has its authors' folders around it, so a folder that leads there will do.
    """
    named = os.environ.get(ASSETS)
    if not named:
        raise UserError(LOCK)
    return _inside(Path(named))


@functools.cache
def _inside(folder: Path) -> Path:
    here = folder
    while here.is_dir() and not (here / "scenes").is_dir():
        inner = [path for path in here.iterdir() if path.is_dir()]
        assets = [path for path in inner if path.name == "assets"] or inner
        if len(assets) != 1:
            break
        (here,) = assets
    if not (here / "scenes").is_dir():
        raise UserError(f"{ASSETS}={folder} has no folder scenes; name the unpacked archive")
    return here


def textures_beside(scene: Path) -> Path:
    """Where a scene of floor and wall styles has its pictures."""
    return scene.parent.parent / "textures"


def _of_class(goals: Path) -> Scene:
    named = re.search(r"\(problem\s+([^\s()]+)", goals.read_text())
    if named is None or named[1].lower() not in _classes():
        raise UserError(f"{goals.name} names no problem class of {wheel.DISTRIBUTION}")
    parent, source = _classes()[named[1].lower()]
    told = _told(source)
    styles = tuple((key, told[key]) for key in ("floor_style", "wall_style"))
    if "scene_xml" in told:
        return Scene(goals, parent, assets() / told["scene_xml"], styles)
    known = style_files()
    pictures = tuple(
        (kind, style, known[kind][style]) for (_, style), kind in zip(styles, known, strict=True)
    )
    ours = runtime.assets_path()
    complete = all((ours / "textures" / name).exists() for _, _, name in pictures)
    return Scene(goals, parent, (ours if complete else assets()) / STYLED, styles, pictures)


@functools.cache
def _classes() -> Mapping[str, tuple[str, str]]:
    """Lower-case name of a problem class -> the class it derives from, its source."""
    out = {}
    for module in PROBLEMS:
        for name, source in wheel.classes(f"envs/problems/libero_{module}_manipulation.py"):
            out[name.lower()] = source[source.index("(") + 1 : source.index(")")], source
    return out


def _told(source: str) -> Mapping[str, str]:
    """What a problem class puts into dictionaries, text by text."""
    entries = (
        (key.value, value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    )
    return {str(key): str(value) for key, value in entries}


@functools.cache
def style_files() -> Mapping[str, Mapping[str, str]]:
    """LIBERO-Plus' styles: "floor" and "wall" -> style -> file among the textures."""
    names = {"FLOOR_STYLE": "floor", "WALL_STYLE": "wall"}
    out = {}
    for node in ast.parse(wheel.file("envs/arenas/style.py").read_text()).body:
        if isinstance(node, ast.Assign) and (kind := names.get(ast.unparse(node.targets[0]))):
            out[kind] = ast.literal_eval(node.value)
    return out


def added_objects(goals: Path) -> int:
    """How many objects a BDDL adds to its base task's."""
    return len(re.findall(r"\(On \S+ \S*add_object_region_\d+\)", goals.read_text()))


def _added(goals: Path) -> Iterable[tuple[str, str]]:
    """Category and file, within the assets, of each object that LIBERO lacks."""
    section = re.search(r"\(:objects([^()]*)\)", goals.read_text())
    listed = re.findall(r"- (\S+)", section[1]) if section else []
    known = _object_files()
    return [(category, known[category]) for category in dict.fromkeys(listed) if category in known]


@functools.cache
def _object_files() -> Mapping[str, str]:
    """Category -> XML within the assets, of the objects that LIBERO-Plus brings."""
    out = {}
    for _, source in wheel.classes(OBJECTS):
        category = re.search(r'name="([^"]+)"', source)
        path = re.search(r'"assets/(new_objects/[^"]+)"', source)
        if category and path:
            out[category[1]] = path[1]
    return out
