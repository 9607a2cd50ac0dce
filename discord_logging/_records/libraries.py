"""This module tells files of libraries from the program's own, by their paths and by the metadata beside them.

A file belongs to a library if it lies where only libraries lie, such as `site-packages`, or if the folder from which it
is imported has the metadata of a distribution that brought it: after `pip install --target`, in a layer of AWS Lambda,
in a zipapp. A distribution that was installed from a directory, such as an editable one, is the program's own.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import sys
import traceback
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from discord_logging._process.gil import yield_gil, yield_gil_between

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Read = Callable[[str], str]

_FROZEN = "<frozen "
_INFO = ".dist-info"
_MAX_FOLDERS = 8
"""The largest number of folders above a file that are searched for metadata."""
_MAX_READ = 4_000_000
"""The longest part of a file of metadata that is read, in characters."""
# AWS Lambda has its own code in /var/runtime, pex in .bootstrap, and launchers on Windows are archives.
_LIBRARY_FOLDER = re.compile(
    r"(.*(?:/site-packages|/dist-packages|\.egg|\.whl|\.zip|/\.bootstrap|\A/var/runtime|/Scripts(?=/[^/]+\.exe/)))/(.+)",
    re.DOTALL,
)
# The path may be that of another machine, since a traceback may come from another program.
_STANDARD_LIBRARY = re.compile(
    r"(?:.*/lib(?:64)?/(?:python|pypy)3[^/]*|[a-z]:/(?:.*/)?(?:python|pypy|\w*conda)[\d.]*/lib)/(([^/.]+).*)",
    re.DOTALL | re.IGNORECASE,
)
# To skip the following paths with the same first part takes a tenth of the time.
_TOP_LEVEL = re.compile(r'^"?([^/,".\n]+).*(?:\n\1/.*)*', re.MULTILINE)
"""The first part of the paths in the list of files of a distribution."""
_LAUNCHER = re.compile(r"#!.*^from \S+ import \S+$.*sys\.exit\(\S+\(\)\)\s*\Z", re.DOTALL | re.MULTILINE)
"""The script that an installer makes for an entry point."""
_MAX_LAUNCHER = 1_000
_BUNDLED = frozenset({"certifi", "charset_normalizer", "discord_logging", "idna", "requests", "urllib3"})
"""The packages that are libraries in a frozen program, which seldom has metadata: this one and what it needs."""


def _parent(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[0]


_STANDARD_FOLDER = _parent(traceback.__file__)
_OUR_FOLDER = _parent(_parent(_parent(__file__)))


@functools.lru_cache(maxsize=4096)
def library_of(filename: str, own_packages: tuple[str, ...] = ()) -> str | None:
    """Return the name of the library that a file belongs to, or `None` if it is the program's own.

    Reads folders and metadata, so it belongs on the listener's thread. Never raises an `Exception`.

    Args:
        filename: The path of the file, as the code has it.
        own_packages: The packages and modules that are the program's own, wherever they lie.
    """
    try:
        folder, inside = _split(filename)
        if inside and folder and _top_level(inside) in _own_modules(Path(folder)):
            return None
        inside = inside or _find_installed(filename) or (_frozen_path(filename) if own_packages else "")
    except Exception:  # noqa: BLE001 - a path may be of any kind, and a file of metadata may hold anything
        return None
    return None if not inside or _is_own(inside, own_packages) else _top_level(inside)


@functools.lru_cache(maxsize=4096)
def is_surely_library(filename: str, own_packages: tuple[str, ...] = ()) -> bool:
    """Tell whether the path alone shows that a file belongs to a library. Reads no folder."""
    _, inside = _split(filename)
    return bool(inside) and not _is_own(inside, own_packages)


def _is_own(inside: str, own_packages: tuple[str, ...]) -> bool:
    module = inside.removesuffix(".py").replace("/", ".") + "."
    return any(module.startswith(f"{package}.") for package in own_packages)


def _top_level(inside: str) -> str:
    return inside.partition("/")[0].partition(".")[0]


def _split(filename: str) -> tuple[str, str]:
    """Return the folder of libraries and the path of a file inside of it, as far as the path of the file shows them.

    The folder is "" if no metadata can show that the file is the program's own after all. The path inside is "" if the
    file may be the program's own.
    """
    if filename.startswith(_FROZEN):
        return "", filename[len(_FROZEN) :].rstrip(">").replace(".", "/")
    if inside := _frozen_path(filename):
        name = _top_level(inside)
        return "", inside if name in sys.stdlib_module_names or name in _BUNDLED else ""
    path = filename.replace("\\", "/")
    # This package is no program's own code, even if it was installed from a directory.
    if path.startswith(f"{_OUR_FOLDER}/discord_logging/"):
        return "", path[len(_OUR_FOLDER) + 1 :]
    if found := _LIBRARY_FOLDER.fullmatch(path):
        # The main program may be an archive of any name.
        return ("", "") if _main_file().startswith(f"{found[1]}/__main__.") else (found[1], found[2])
    if path.startswith(f"{_STANDARD_FOLDER}/"):
        return "", path[len(_STANDARD_FOLDER) + 1 :]
    found = _STANDARD_LIBRARY.fullmatch(path)
    return "", found[1] if found and found[2] in sys.stdlib_module_names else ""


def _main_file() -> str:
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "").replace("\\", "/")


def _frozen_path(filename: str) -> str:
    """Return the path of a module inside of a program that PyInstaller made, or "" for another file."""
    root = getattr(sys, "_MEIPASS", None)
    if not root or filename.startswith("<"):
        return ""
    path = Path(root, filename)
    is_module = path.is_relative_to(root) and path != Path(root, _main_file())
    return path.relative_to(root).as_posix() if is_module else ""


def _find_installed(filename: str) -> str:
    """Return the path of a file below the folder to which a distribution was installed with it, or ""."""
    if filename.startswith("<"):
        return ""
    path = Path(getattr(sys, "_MEIPASS", ""), filename).absolute()
    if _is_launcher(path):
        return path.name
    roots = {Path(str(each)).absolute() for each in sys.path}
    for folder in path.parents[:_MAX_FOLDERS]:
        inside = path.relative_to(folder).as_posix()
        if _is_installed(folder, _top_level(inside)):
            return inside
        if folder in roots:
            break
    return ""


def _is_launcher(path: Path) -> bool:
    if path.suffix or path.parent.name not in ("bin", "Scripts"):
        return False
    with contextlib.suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        return _LAUNCHER.match(file.read(_MAX_LAUNCHER)) is not None
    return False


def _is_installed(folder: Path, name: str) -> bool:
    distributions = _distributions(folder)
    if not distributions or name in _own_modules(folder):
        return False
    # Most distributions have the name of their package, so that the others need not be read.
    read = distributions.get(name.lower())
    return (read is not None and name in _modules(read)) or name in _installed_modules(folder)


@functools.lru_cache(maxsize=512)
def _own_modules(folder: Path) -> frozenset[str]:
    """Return the modules of a folder whose distributions were installed from a directory of sources."""
    distributions = _distributions(folder).values()
    local = (read for read in yield_gil_between(distributions) if '"dir_info"' in read("direct_url.json"))
    return frozenset(itertools.chain.from_iterable(map(_modules, local)))


@functools.lru_cache(maxsize=512)
def _installed_modules(folder: Path) -> frozenset[str]:
    """Return the modules of a folder that distributions have installed to it."""
    return frozenset(itertools.chain.from_iterable(map(_modules, _distributions(folder).values())))


def _modules(read: _Read) -> set[str]:
    """Return the modules of a distribution."""
    yield_gil()
    # A package that was made smaller has no list of files any more.
    return {*_TOP_LEVEL.findall(read("RECORD")), *read("top_level.txt").split()}


@functools.lru_cache(maxsize=512)
def _distributions(folder: Path) -> Mapping[str, _Read]:
    """Return the distributions of a folder by name, each as a function that reads its metadata."""
    try:
        with os.scandir(folder) as entries:
            infos = [entry.name for entry in entries if entry.name.endswith(_INFO)]
        reads: dict[str, _Read] = {info: functools.partial(_read_file, folder / info) for info in infos}
    except OSError:
        reads = _archived(folder)
    return {info.partition("-")[0].lower(): read for info, read in reads.items()}


def _read_file(info: Path, name: str) -> str:
    with contextlib.suppress(OSError), (info / name).open(encoding="utf-8", errors="replace") as file:
        return file.read(_MAX_READ)
    return ""


def _archived(folder: Path) -> dict[str, _Read]:
    """Return the distributions of a folder inside of an archive by the folders of their metadata."""
    archive = next((each for each in (folder, *folder.parents) if each.is_file()), None)
    if archive is None:
        return {}
    inside = folder.relative_to(archive)
    infos = _archived_infos(archive).get(inside.as_posix(), ())
    return {info: functools.partial(_read_member, archive, (inside / info).as_posix()) for info in infos}


@functools.lru_cache(maxsize=16)
def _archived_infos(archive: Path) -> Mapping[str, set[str]]:
    """Return the names of the folders with metadata in an archive, by the folder in which they are; "." is the top."""
    infos: dict[str, set[str]] = {}
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(archive) as file:
        for name in yield_gil_between(file.namelist()):
            path, found, _ = name.partition(f"{_INFO}/")
            if found:
                folder, _, info = path.rpartition("/")
                infos.setdefault(folder or ".", set()).add(f"{info}{_INFO}")
    return infos


def _read_member(archive: Path, info: str, name: str) -> str:
    with contextlib.suppress(OSError, KeyError, zipfile.BadZipFile), zipfile.ZipFile(archive) as file:
        return file.read(f"{info}/{name}")[:_MAX_READ].decode(errors="replace")
    return ""
