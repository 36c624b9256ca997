"""A folder of files that are made: written as a whole each, and never over what somebody else wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from otel_monitoring.cli.whole_file import whole_file
from otel_monitoring.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LIST_NAME = ".otel-monitoring.json"
"""The list of what was made, in the folder itself."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made in a folder before.

    Attributes:
        files: the digests of what was written, by path.
        rules: uids of the alert rules that Grafana was to provision.
        removed_rules: uids of those that it was to remove.
    """

    files: Mapping[str, str] = field(default_factory=dict[str, str])
    rules: frozenset[str] = frozenset()
    removed_rules: frozenset[str] = frozenset()

    def removed_by(self, rules: Iterable[str]) -> list[str]:
        """Return the rules that a Grafana may still hold, where these are wanted now."""
        return sorted((self.rules | self.removed_rules) - set(rules))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the files, by path.

    Attributes:
        written: new or changed.
        unchanged: as they were.
        removed: no longer made, and as we left them.
        kept: no longer made, but changed by somebody.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]


def read_made(folder: Path) -> Made:
    """Return what was made in a folder before; nothing where there is no list.

    Raises:
        MonitoringError: the list cannot be read.
    """
    path = folder / LIST_NAME
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Made()
    except (OSError, ValueError) as error:
        raise MonitoringError(f"{path} cannot be read ({error}): remove it, and give --overwrite") from error
    content = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    files = content.get("files")
    digests = cast("dict[str, object]", files) if isinstance(files, dict) else {}
    return Made(
        {name: str(digest) for name, digest in digests.items() if _is_inside(folder, name)},
        _texts(content.get("rules")),
        _texts(content.get("removed_rules")),
    )


def list_text(files: Mapping[str, str], *, rules: Iterable[str], removed_rules: Iterable[str]) -> str:
    """Return the text of the list of what is made.

    Args:
        files: their texts by path.
        rules: uids of the alert rules in them.
        removed_rules: uids of those that are named to be removed.
    """
    content = {
        "files": {name: _digest(text) for name, text in sorted(files.items())},
        "removed_rules": sorted(removed_rules),
        "rules": sorted(rules),
    }
    return json.dumps(content, indent=1) + "\n"


def stale_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the paths of what is not in a folder as it would be made, and of what is no longer made."""
    wrong = [name for name, text in files.items() if _text_in(folder, name) != text]
    return sorted({*wrong, *(name for name in read_made(folder).files if name not in files)})


def write_folder(folder: Path, files: Mapping[str, str], *, overwrite: bool = False) -> Outcome:
    """Write files, and remove what was made before and is no longer.

    Args:
        folder: it is made where it is missing.
        files: their texts by path, the list among them; it is written last.
        overwrite: replace what somebody else wrote or changed.

    Raises:
        MonitoringError: something that is not ours would be lost; nothing is written then.
    """
    made = read_made(folder)
    changed = [name for name, text in files.items() if _text_in(folder, name) != text]
    theirs = [name for name in changed if name != LIST_NAME and not _is_ours(folder, name, made)]
    if theirs and not overwrite:
        raise MonitoringError(
            f"{folder} holds files that were not made by this command, or were changed since: {', '.join(theirs)}. "
            "Name another folder, move them away, or give --overwrite to replace them"
        )
    gone = [name for name in made.files if name not in files and (folder / name).exists()]
    removed = [name for name in gone if _is_ours(folder, name, made)]
    for name in sorted(changed, key=lambda name: (name == LIST_NAME, name)):
        _write(folder / name, files[name])
    for name in removed:
        _remove(folder, name)
    unchanged = tuple(name for name in files if name not in changed)
    return Outcome(tuple(changed), unchanged, tuple(removed), tuple(name for name in gone if name not in removed))


def _is_ours(folder: Path, name: str, made: Made) -> bool:
    """Tell whether a file is missing or as we left it."""
    text = _text_in(folder, name)
    return text is None or made.files.get(name) == _digest(text)


def _text_in(folder: Path, name: str) -> str | None:
    path = folder / name
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MonitoringError(f"{path} cannot be read ({error.strerror})") from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MonitoringError(f"{path.parent} cannot be made ({error.strerror})") from error
    with whole_file(path, private=False) as file:
        file.write(text)


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == folder or any(parent.iterdir()):
            return
        parent.rmdir()


def _is_inside(folder: Path, name: str) -> bool:
    """Tell whether a path from a list, which anybody may have written, stays in the folder."""
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _texts(values: object) -> frozenset[str]:
    return frozenset(map(str, cast("list[object]", values))) if isinstance(values, list) else frozenset()
