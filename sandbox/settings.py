"""The command line of the sandbox."""

import argparse
from dataclasses import dataclass
from typing import Any

from sandbox.world import Size


@dataclass(slots=True)
class Settings:
    """Ports: 0 takes a free one. Addresses are filled in once the ports are known."""

    size: Size
    host: str = "127.0.0.1"
    web_port: int = 0
    api_port: int = 0
    crm_port: int = 0
    control_port: int = 0
    notice_port: int = 0
    mobile_key: str = ""  # "user:password" of the app's Basic credential; empty: any well-formed one
    crm_key: str = "sandbox-crm-key"
    strict_signin: bool = False  # a third sign-in within three minutes gets Qrator's 403
    die_with_parent: bool = False
    born: float = 0.0  # unix seconds the world's times count from; 0: from now
    web_public_url: str = ""  # the web address that the mobile surface tells, e.g. behind a proxy
    web_url: str = ""
    api_url: str = ""
    crm_url: str = ""
    control_url: str = ""
    notice_url: str = ""

    @property
    def told_web_url(self) -> str:
        """The web address as clients of the mobile surface get to see it, without a slash at the end."""
        return (self.web_public_url or self.web_url).rstrip("/")

    @property
    def told_notice_url(self) -> str:
        """Where clients listen: the channel's name follows."""
        return f"{self.notice_url.replace('http', 'ws', 1)}/ws/public"

    @property
    def usable_mobile_key(self) -> str:
        """A value that the mobile surface accepts."""
        return self.mobile_key or "sandbox-app:sandbox-app-key"


def parse(argv: list[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Песочница: стенд Kwork (сайт и мобильный API) и учебная CRM."
    )
    numbers: dict[str, tuple[int, str]] = {
        "seed": (7, "зерно: одно зерно — один и тот же мир"),
        "projects": (571, "сколько проектов на бирже"),
        "orders": (120, "сколько заказов у первого аккаунта"),
        "accounts": (2, "сколько аккаунтов продавцов"),
        "gigs": (12, "сколько кворков у первого аккаунта"),
        "dialogs": (24, "сколько диалогов у первого аккаунта"),
        "web-port": (0, "порт сайта, 0 — любой свободный"),
        "api-port": (0, "порт мобильного API"),
        "crm-port": (0, "порт учебной CRM"),
        "control-port": (0, "порт управления"),
        "notice-port": (0, "порт вебсокета уведомлений"),
    }
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name}", type=_natural, default=default, help=f"{text} (сейчас {default})")
    parser.add_argument("--host", default="127.0.0.1", help="адрес, на котором слушать")
    parser.add_argument(
        "--mobile-key", default="", help="принимать только этот ключ приложения: user:password"
    )
    parser.add_argument(
        "--web-public-url", default="", help="адрес сайта, который называет мобильный API (обычно не нужен)"
    )
    parser.add_argument("--crm-key", default="sandbox-crm-key", help="ключ учебной CRM")
    parser.add_argument(
        "--born",
        type=float,
        default=0.0,
        help="от какого момента (unix) отсчитаны времена мира; 0 — от запуска",
    )
    parser.add_argument("--strict-signin", action="store_true", help="третий вход за три минуты — 403 Qrator")
    parser.add_argument("--die-with-parent", action="store_true", help="завершиться вместе с родителем")
    return _settings(vars(parser.parse_args(argv)))


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("нужно число от 0")
    return number


def _settings(given: dict[str, Any]) -> Settings:
    parts = ("seed", "projects", "orders", "accounts", "gigs", "dialogs")
    size = Size(**{name: given.pop(name) for name in parts})
    return Settings(size=size, **given)
