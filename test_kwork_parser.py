"""Проверка разбора страниц Kwork. Программа для людей, не файл pytest.

    python test_kwork_parser.py                       проверить на стенде (python -m sandbox)
    python test_kwork_parser.py --html стр.html …     прочитать сохранённые страницы
    python test_kwork_parser.py --live                войти на Kwork и прочитать, ничего не меняя

Код завершения: 0 — всё прочитано, 1 — разметка изменилась, 2 — читать нечего.
JSON идёт в стандартный вывод, пояснения — в стандартный поток ошибок.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.load_settings import SettingsError, load_settings
from app.core.settings import Settings
from app.domain.errors import Challenge, ChallengeRequired, LayoutChanged, ServiceError
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.guards import PageKind
from app.marketplaces.kwork.web.inspect import DRIFTED, GOOD, SITE, UNUSABLE, Inspection, inspect_page
from app.marketplaces.kwork.web.surface import WebSurface

if TYPE_CHECKING:
    from tests.stand import Stand

MAX_FILE_BYTES = 64 * 1024 * 1024
KINDS = {
    PageKind.PROJECTS: "биржа проектов",
    PageKind.PROJECT: "один проект",
    PageKind.GIGS: "мои кворки",
    PageKind.INBOX: "список диалогов",
    PageKind.ORDERS: "мои заказы",
    PageKind.ORDER: "страница заказа",
    PageKind.USER: "профиль пользователя",
    PageKind.LOGIN: "страница входа",
    PageKind.MAINTENANCE: "технические работы",
    PageKind.BLOCKED: "доступ заблокирован",
    PageKind.CAPTCHA: "проверка «вы не робот»",
    PageKind.OTHER: "страница Kwork без списков (главная, кабинет…)",
    PageKind.FOREIGN: "не страница Kwork",
}
CHALLENGES = {
    Challenge.CAPTCHA: "пройти капчу.",
    Challenge.PHONE_DIGITS: "ввести последние цифры телефона.",
    Challenge.NEW_DEVICE: "подтвердить новое устройство.",
    Challenge.QUIZ: "ответить на вопросы о безопасности.",
    Challenge.TWO_FACTOR: "подтвердить вход вторым способом.",
    Challenge.PASSWORD: "исправить пароль.",
}
LIVE_PATHS = {
    "/projects": PageKind.PROJECTS,
    "/manage_kworks": PageKind.GIGS,
    "/inbox": PageKind.INBOX,
    "/get_manage_orders?page=1&s=all": PageKind.ORDERS,
}
SIGNED = {True: "вход выполнен", False: "вход не выполнен", None: "вход не определён"}


def main(argv: list[str] | None = None) -> int:
    options = _options().parse_args(argv)
    if options.html:
        return inspect_files(options.html, options.site.rstrip("/"))
    return asyncio.run(check_live() if options.live else check_stand())


def inspect_files(files: list[Path], site: str) -> int:
    """One object for one file, a list for several."""
    results, worst = [], GOOD
    for file in files:
        found = _inspect_file(file, site)
        if found is None:
            results.append({"file": file.name, "kind": None})
            worst = UNUSABLE
            continue
        say(f"{file.name}: {describe(found)}")
        results.append({"file": file.name, **found.as_json()})
        worst = max(worst, found.exit_code)
    print(json.dumps(results[0] if len(results) == 1 else results, ensure_ascii=False, indent=2))
    return worst


async def check_stand() -> int:
    """Reads every page of the stand-in, then breaks its layout and sees whether that is noticed."""
    from tests.stand import Stand  # noqa: PLC0415 - files and --live do without the stand

    say("Запускаю стенд Kwork (python -m sandbox)…")
    try:
        stand = Stand.start("--projects", "31", "--orders", "16", "--gigs", "7", "--dialogs", "9")
    except (RuntimeError, OSError) as error:
        say(f"Стенд не запустился: {error}")
        return UNUSABLE
    with stand:
        try:
            rows = await _stand_rows(stand)
        except ServiceError as error:
            say(f"Стенд ответил не так, как ожидалось: {error.detail}")
            return UNUSABLE
    for name, expected, got, good in rows:
        say(f"{'да ' if good else 'НЕТ'}  {name:<46} ожидалось {expected:>4}, прочитано {got:>4}")
    print(json.dumps([dict(zip(("check", "expected", "got", "good"), row, strict=True)) for row in rows],
                     ensure_ascii=False, indent=2))  # fmt: skip
    return GOOD if all(good for *_, good in rows) else DRIFTED


async def _stand_rows(stand: Stand) -> list[tuple[str, int, int, bool]]:
    visitor = Transport(stand.web, allows=paths.allows)
    rows = [
        await _page_row(visitor, "биржа без входа", "/projects", PageKind.PROJECTS, 12),
        await _page_row(visitor, "главная без входа", "/", PageKind.OTHER, 0),
    ]
    session = await WebSurface(visitor).login_by_token(stand.web_token())
    own = Transport(stand.web, allows=paths.allows, cookies=session.cookies)
    web = WebSurface(own, session)
    gigs = len(stand.gigs(stand.username))
    people = {frozenset((m["from_id"], m["to_id"])) for m in stand.messages(stand.username)}
    rows += [
        await _page_row(own, "кворки", "/manage_kworks", PageKind.GIGS, gigs),
        await _page_row(own, "диалоги", "/inbox", PageKind.INBOX, len(people)),
        _count_row("кворки по всем группам", gigs, len((await web.gigs()).items)),
        _count_row("заказы, две страницы", 16, sum([len((await web.orders(n)).items) for n in (1, 2)])),
    ]
    stand.fault("field_renamed", surface="web", field="priceLimit", to="price_limit")
    found = await _inspect(visitor, "/projects")
    rows.append(_count_row("переименованное поле замечено", DRIFTED, found.exit_code))
    rows.append(_count_row("сдвиг останавливает чтение и назван", 1, await _stops_at(visitor, "priceLimit")))
    for transport in (visitor, own):
        await transport.aclose()
    return rows


async def _stops_at(transport: Transport, field: str) -> int:
    """1 when the exchange is not read any more and the error names the field."""
    try:
        await WebSurface(transport).projects()
    except LayoutChanged as error:
        return int(field in error.path)
    return 0


async def _inspect(transport: Transport, path: str) -> Inspection:
    answer = await transport.send("GET", path, write=False)
    if answer.redirect is not None and answer.redirect.startswith(paths.LOGIN):
        return Inspection(PageKind.LOGIN, signed_in=False)
    return inspect_page(answer.body, transport.base_url)


async def _page_row(
    transport: Transport, name: str, path: str, kind: PageKind, expected: int
) -> tuple[str, int, int, bool]:
    found = await _inspect(transport, path)
    good = found.kind is kind and found.exit_code == GOOD and len(found.items) == expected
    return name, expected, len(found.items), good


def _count_row(name: str, expected: int, got: int) -> tuple[str, int, int, bool]:
    return name, expected, got, expected == got


async def check_live() -> int:
    """Signs in with a real browser and reads four lists; changes nothing, prints no correspondence."""
    try:
        settings = load_settings()
    except SettingsError as error:
        say(str(error))
        return UNUSABLE
    login, password = settings.kwork_test_username, settings.kwork_test_password
    if not login or password is None:
        say("Задайте KWORK_TEST_USERNAME и KWORK_TEST_PASSWORD (в .env или в окружении).")
        return UNUSABLE
    try:
        found = await _live_pages(settings, login, password.get_secret_value())
    except ChallengeRequired as error:
        say(f"Kwork просит человека: {CHALLENGES.get(error.challenge, error.detail)}")
        say(
            "Войдите сами: python main.py sign-in. Сразу не повторяйте: после трёх входов Kwork закрывает адрес."
        )
        return UNUSABLE
    except ServiceError as error:
        say(f"Прочитать не удалось ({error.code}): {error.detail}")
        return DRIFTED if isinstance(error, LayoutChanged) else UNUSABLE
    for path, page in found.items():
        say(f"{path}: {describe(page)}")
    rows = [
        {"path": path, **{k: v for k, v in page.as_json().items() if k != "items"}}
        for path, page in found.items()
    ]
    print(json.dumps(rows, ensure_ascii=False, indent=2))
    return max(page.exit_code if page.kind is LIVE_PATHS[path] else UNUSABLE for path, page in found.items())


async def _live_pages(settings: Settings, login: str, password: str) -> dict[str, Inspection]:
    from app.core.pace import Pace  # noqa: PLC0415 - the browser is heavy, files do without it
    from app.marketplaces.kwork.browser import KworkBrowser  # noqa: PLC0415

    browser = KworkBrowser(settings)
    try:
        say(f"Вхожу на {settings.kwork_web_url} в браузере…")
        session = await browser.sign_in(login, password)
    finally:
        await browser.close()
    transport = Transport(
        settings.kwork_web_url,
        allows=paths.allows,
        pace=Pace(None, "parser", rate=settings.kwork_requests_per_second, burst=settings.kwork_burst),
        deadline_seconds=settings.kwork_deadline_seconds,
        user_agent=session.user_agent,
        cookies=session.cookies,
    )
    try:
        return {path: await _inspect(transport, path) for path in LIVE_PATHS}
    finally:
        await transport.aclose()


def describe(found: Inspection) -> str:
    """A sentence about a page, and what to do about it."""
    if found.exit_code == UNUSABLE:
        return "это не страница Kwork, читать нечего."
    parts = [KINDS[found.kind], SIGNED[found.signed_in]]
    if "items" in found.counts:
        parts.append(f"прочитано: {found.counts['items']}")
    if found.exit_code == DRIFTED:
        shown = ", ".join(found.drift[:10]) + ("…" if len(found.drift) > 10 else "")
        parts.append(f"РАЗМЕТКА ИЗМЕНИЛАСЬ ({shown}); что править: docs/adapting-the-parser.md")
    return "; ".join(parts) + "."


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _inspect_file(file: Path, site: str) -> Inspection | None:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            say(f"{file.name}: файл больше 64 МБ, это не страница Kwork.")
            return None
        raw = file.read_bytes()
    except OSError as error:
        say(f"{file.name}: файл не читается ({error.strerror}).")
        return None
    if not raw.strip():
        say(f"{file.name}: файл пуст.")
        return None
    return inspect_page(raw, site)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="test_kwork_parser.py", description="Проверка разбора страниц Kwork.", add_help=False
    )
    parser.add_argument("-h", "--help", action="help", help="показать эту справку")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--html", action="append", type=Path, metavar="ФАЙЛ", help="сохранённая страница; можно несколько раз"
    )
    chosen.add_argument(
        "--live", action="store_true", help="войти под KWORK_TEST_USERNAME и прочитать, ничего не меняя"
    )
    parser.add_argument("--site", default=SITE, help=f"адрес сайта для ссылок в ответе (сейчас {SITE})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
