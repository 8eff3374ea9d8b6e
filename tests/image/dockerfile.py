"""The Dockerfile as data: its stages and their instructions, arguments filled in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ARGUMENT = re.compile(r"\$\{(\w+)(?::([+-])((?:[^{}]|\$\{[^}]*\})*))?\}|\$(\w+)")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its upper-case name and what follows, continuation lines joined."""

    name: str
    rest: str
    line: int

    def words(self) -> list[str]:
        """The exec form's array, or the words."""
        found: list[str] = json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)
        return found

    def pairs(self) -> dict[str, str]:
        """NAME=value of an ENV."""
        parted = (word.partition("=") for word in shlex.split(self.rest))
        return {name: value for name, _, value in parted}


@dataclass
class Stage:
    """What stands between two FROM; ``base`` is an image or an earlier stage's name."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [one for one in self.instructions if one.name == name]

    def environment(self) -> dict[str, str]:
        return {name: value for one in self.all("ENV") for name, value in one.pairs().items()}


def read_stages(path: Path, **arguments: str) -> list[Stage]:
    """The stages in their order. ``arguments`` are those of ``--build-arg``."""
    known: dict[str, str] = {}
    stages: list[Stage] = []
    for one in _instructions(path.read_text(encoding="utf-8")):
        if one.name == "ARG" and not stages:
            name, _, default = one.rest.partition("=")
            known[name] = arguments.get(name, default)
        elif one.name == "FROM":
            base, _, name = _filled(one.rest, known).partition(" AS ")
            stages.append(Stage(name.strip() or str(len(stages)), base.strip()))
        else:
            stages[-1].instructions.append(one)
    return stages


def lineage(stages: list[Stage], name: str) -> list[Stage]:
    """The stage after those it is built upon."""
    named = {stage.name: stage for stage in stages}
    found = [named[name]]
    while found[0].base in named:
        found.insert(0, named[found[0].base])
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        first = first if joined else number
        joined += line.strip().removesuffix("\\") if line.rstrip().endswith("\\") else line.strip()
        if not line.rstrip().endswith("\\"):
            name, _, rest = joined.partition(" ")
            yield Instruction(name.upper(), rest.strip(), first)
            joined = ""


def _filled(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, sign, word = match[1] or match[4], match[2], match[3] or ""
        found = known.get(name, "")
        if sign == "+":
            return _filled(word, known) if found else ""
        return found or (_filled(word, known) if sign == "-" else "")

    return _ARGUMENT.sub(value, text)
