"""A tree that stands for a container: commands in it, and the service started from it as an engine would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.image.dockerfile import Instruction

DONE_BY_AN_ENGINE = frozenset({"VOLUME", "EXPOSE", "STOPSIGNAL", "CMD"})
START_SECONDS, STOP_SECONDS = 120.0, 40.0

_PREPARED = """
set -eu
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mkdir -p "$1/run/host"
mount --bind "$2" "$1/run/host"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
tree=$1
shift 2
exec chroot "$tree" "$@"
"""
_READ_ONLY = """
set -eu
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmp "$1/tmp"
mount --bind "$2" "$1/data"
mount -o remount,bind,ro "$1"
tree=$1 user=$3 group=$4
shift 4
exec chroot "$tree" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
"""
_BROWSER = """
import asyncio
from playwright.async_api import async_playwright
from app.marketplaces.kwork.browser.chromium import find_chromium, launch
async def look():
    async with async_playwright() as playwright:
        browser = await launch(playwright, find_chromium(None))
        page = await browser.new_page()
        await page.set_content("<h1>Кворк</h1>")
        print(browser.version, await page.inner_text("h1"))
        await browser.close()
asyncio.run(look())
"""


class Room:
    """The tree with what its stage has set so far."""

    def __init__(self, tree: Path, parent: Room | None) -> None:
        self.tree = tree
        self.environment = (
            dict(parent.environment)
            if parent
            else {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        )
        self.workdir = parent.workdir if parent else "/"
        self.user = parent.user if parent else "0:0"
        self.shell: Sequence[str] = parent.shell if parent else ["/bin/sh", "-c"]
        self.entrypoint: Sequence[str] = parent.entrypoint if parent else []
        self.health: Sequence[str] = parent.health if parent else []

    def set(self, one: Instruction) -> None:
        """What the instruction says of the commands after it, and of the start."""
        match one.name:
            case "ENV":
                self.environment |= one.pairs()
            case "WORKDIR":
                self.workdir = one.rest
                (self.tree / one.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = one.rest
            case "SHELL":
                self.shell = one.words()
            case "ENTRYPOINT":
                self.entrypoint = one.words()
            case "HEALTHCHECK":
                self.health = Instruction("CMD", one.rest.partition("CMD ")[2], one.line).words()
            case name:
                raise SystemExit(f"Строка {one.line}: {name} этот прогон не умеет.")

    def run(self, command: str) -> None:
        """A RUN line, with the machine's way to the package registries and nothing else of it."""
        with tempfile.TemporaryDirectory() as host:
            given = {**self.environment, **_registries(Path(host))}
            inside = ["env", "-i", f"--chdir={self.workdir}", *_assigned(given), *self.shell, command]
            program = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _PREPARED, "room"]
            ended = subprocess.run(
                [*program, self.tree, host, *inside],
                text=True, capture_output=True, check=False,
            )  # fmt: skip
        if ended.returncode:
            raise SystemExit(f"{command}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")

    def command(self, data: Path, program: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        """The program as a container runs it: read-only, the stage's user, no capability, first of its processes."""
        user, _, group = self.user.partition(":")
        given = _assigned({**self.environment, **settings})
        inside = ["env", "-i", f"--chdir={self.workdir}", *given, *program]
        return [
            "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "sh", "-c", _READ_ONLY, "room", str(self.tree), str(data), user, group, *inside,
        ]  # fmt: skip


class Trial:
    """The service once from beginning to end; complains by `AssertionError`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def run(self) -> None:
        user = int(self._room.user.partition(":")[0])
        with self._data(user) as data, socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            settings = {"PORT": str(probe.getsockname()[1]), "HOST": "127.0.0.1"}
            probe.close()
            log = data.parent / "output"
            with log.open("wb") as output:
                command = self._room.command(data, self._room.entrypoint, settings)
                process = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                self._look(process, f"http://127.0.0.1:{settings['PORT']}", user, log)
                self._do(data, self._room.health, settings, "HEALTHCHECK")
                self._do(data, ["python", "-c", _BROWSER], settings, "Chromium")
                self._stop(process, log)
            finally:
                process.kill()

    def _look(self, process: subprocess.Popen[bytes], url: str, user: int, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (checks := _ready(url)):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        init = _child(process.pid)
        status = Path(f"/proc/{init}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(user)] * 4, fields["Uid"]
        assert (fields["CapBnd"], fields["NoNewPrivs"]) == ("0" * 16, "1"), fields
        mounts = Path(f"/proc/{init}/mounts").read_text().splitlines()
        [root] = [line.split() for line in mounts if line.split()[1] == "/"]
        assert "ro" in root[3].split(","), root
        print(
            f"Сервис из дерева: uid {user}, корень только для чтения, без прав; готов: {json.dumps(checks)}"
        )

    def _do(self, data: Path, program: Sequence[str], settings: Mapping[str, str], name: str) -> None:
        command = self._room.command(data, program, settings)
        ended = subprocess.run(command, text=True, capture_output=True, timeout=120, check=False)
        assert ended.returncode == 0, (name, ended.stdout, ended.stderr)
        print(f"{name}: в порядке {ended.stdout.strip()}")

    def _stop(self, process: subprocess.Popen[bytes], log: Path) -> None:
        started = time.monotonic()
        os.kill(_child(process.pid), signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()[-2000:]
        print(f"SIGTERM: вышел сам за {time.monotonic() - started:.1f} с, код 0")

    @contextmanager
    def _data(self, user: int) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            shutil.copytree(self._room.tree / "data", data)
            os.chown(data, user, user)
            yield data


def _ready(url: str) -> object:
    try:
        with urlopen(f"{url}/health/ready", timeout=10) as answer:  # loopback
            return json.load(answer)["checks"]
    except (URLError, OSError):
        return None


def _assigned(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _registries(host: Path) -> dict[str, str]:
    """How this machine reaches its package registries, for the commands inside; none of it stays in the tree."""
    found = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    found |= {
        name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT") if name in os.environ
    }
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if certificates:
        shutil.copy(certificates, host / "certificates")
        found["PIP_CERT"] = "/run/host/certificates"
    return found
