"""`python -m sandbox`: the stand-in Kwork and the demo CRM on their ports; first line of stdout is JSON."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable

import orjson

from sandbox.assembly import Sandbox
from sandbox.server import PortTakenError, listen, serve, url_of
from sandbox.settings import Settings, parse

SURFACES = ("web", "api", "crm", "control", "notice")
WORDS = {
    "web": "сайта",
    "api": "мобильного API",
    "crm": "CRM",
    "control": "управления",
    "notice": "уведомлений",
}


def main(argv: list[str] | None = None) -> int:
    parent = os.getppid()
    settings = parse(argv)
    sockets = []
    for surface in SURFACES:
        port = getattr(settings, f"{surface}_port")
        try:
            sockets.append(listen(settings.host, port))
        except PortTakenError:
            print(
                f"Порт {port} для {WORDS[surface]} занят или недоступен: освободите его "
                f"или укажите другой ключом --{surface}-port (0 — любой свободный).",
                file=sys.stderr,
            )
            return 2
        setattr(settings, f"{surface}_url", url_of(sockets[-1]))
    sandbox = Sandbox(settings)
    apps = [sandbox.app(surface) for surface in SURFACES]
    gc.freeze()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(
            serve(
                list(zip(apps, sockets, strict=True)),
                lambda: print(orjson.dumps(greeting(settings, sandbox)).decode(), flush=True),
                parent if settings.die_with_parent else None,
            )
        )
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """A quick loop where there is one: a real site answers faster than a stand-in in Python ever will."""
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


def greeting(settings: Settings, sandbox: Sandbox) -> dict[str, object]:
    """What a newcomer needs to know; the first account is the main one."""
    accounts = sandbox.account_rows()
    first = accounts[0] if accounts else {}
    return {
        "web": settings.web_url,
        "api": settings.api_url,
        "crm": settings.crm_url,
        "control": settings.control_url,
        "notice": settings.told_notice_url,
        "login": first.get("login"),
        "password": first.get("password"),
        "mobile_key": settings.usable_mobile_key,
        "crm_key": settings.crm_key,
        "accounts": accounts,
    }


if __name__ == "__main__":
    sys.exit(main())
