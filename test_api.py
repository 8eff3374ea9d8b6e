"""Проходит по API так, как это делает пользователь, и печатает строку на каждую проверку.

    python test_api.py                                       сам поднимает стенд Kwork, учебную CRM и сервис
    python test_api.py --url http://127.0.0.1:8000 --email admin@example.com --password …
                                                             проверяет работающий сервис, ничего в нём не меняя

Код выхода: 0 — всё прошло, 1 — что-то не прошло, 2 — проверять не вышло.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2

from tests.walk import Failed, Walk, expect
from tests.walk_writes import WRITING

ROOT = Path(__file__).resolve().parent
START_SECONDS = 90.0
EMAIL, PASSWORD = "admin@example.com", "пароль для проверки"


def health(walk: Walk) -> str:
    expect(walk.client.get("/health").json() == {"status": "ok"}, "/health отвечает не так")
    ready = walk.client.get("/health/ready").json()
    expect(ready["status"] != "unavailable", f"сервис не готов: {ready['checks']}")
    return str(ready["status"])


def documents(walk: Walk) -> str:
    expect(walk.client.get("/docs").status_code == 200, "/docs не открывается")
    return f"адресов: {len(walk.client.get('/openapi.json').json()['paths'])}"


def login(walk: Walk) -> str:
    walk.problem("GET", "auth/me", 401, "token_missing")
    wrong = {"email": walk.email, "password": "не тот пароль"}
    walk.problem("POST", "auth/login", 401, "wrong_credentials", json=wrong)
    given = walk.ask("POST", "auth/login", json={"email": walk.email, "password": walk.password})
    walk.client.headers["Authorization"] = f"Bearer {given['access_token']}"
    me = walk.ask("GET", "auth/me")
    expect(me == given["user"], "auth/me называет другого пользователя")
    return f"{me['email']}, роль {me['role']}, тенант {me['tenant_id']}"


def other_tenant(walk: Walk) -> str:
    walk.problem("GET", "orders", 403, "tenant_mismatch", headers={"X-Tenant-ID": "somebody-else"})
    return "чужой тенант в заголовке отвергнут"


def connect_account(walk: Walk) -> str:
    assert walk.stand is not None
    password = walk.stand.password
    body = {"title": "Проверка", "login": walk.stand.login, "password": password}
    account = walk.ask("POST", "accounts", 201, json=body)
    walk.account_id = account["id"]
    expect(account["state"] == "connected", f"состояние {account['state']}: {account['what_to_do']}")
    expect(password not in str(account), "пароль вернулся в ответе")
    walk.problem("POST", "accounts", 409, "account_exists", json=body)
    return f"вход браузером выполнен: {account['username']}"


def accounts(walk: Walk) -> str:
    found = walk.ask("GET", "accounts/")
    for account in found["items"]:
        shown = walk.ask("GET", f"accounts/{account['id']}")
        expect(shown["capabilities"], "не показано, что аккаунт умеет")
    walk.problem("GET", "accounts/00000000-0000-4000-8000-000000000000", 404, "not_found")
    return f"аккаунтов: {found['total']}"


def sync(walk: Walk) -> str:
    wanted = {
        "account_id": walk.account_id,
        "kinds": ["order", "project", "gig", "dialog", "offer"],
        "filters": {"category": "web-development", "min_price": 20000},
    }
    answer = walk.ask("POST", "crm-sync/sync-orders/", json=wanted)
    expect(answer["state"] == "done", f"синхронизация: {answer}")
    contacts = walk.ask("POST", "crm-sync/sync-contacts", json={"account_id": walk.account_id})
    expect(contacts["state"] == "done", f"контакты: {contacts}")
    return "заказы и контакты переданы в CRM"


def sync_status(walk: Walk) -> str:
    walk.ask("GET", "crm-sync/sync-status/")
    return "показано"


def orders(walk: Walk) -> str:
    every = walk.ask("GET", "orders/")
    seen, cursor = [], None
    while len(seen) < 120:
        page = walk.ask("GET", "orders", params={"limit": 40} | ({"cursor": cursor} if cursor else {}))
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    expect(len(seen) == len(set(seen)), "курсор показал строку дважды")
    for row in every["items"][:3]:
        expect(walk.ask("GET", f"orders/{row['id']}")["id"] == row["id"], "показан другой заказ")
    expect(every["total"] or not walk.stand, "ничего не прочитано")
    return f"проектов и заказов: {every['total']}"


def filters(walk: Walk) -> str:
    query = {"category": "web-development", "min_price": 1000, "status": "active", "limit": 10}
    found = walk.ask("GET", "orders", params=query)
    expect(all(row["kind"] == "project" for row in found["items"]), "категория есть только у проектов")
    walk.problem("GET", "orders", 422, "unknown_category", params={"category": "web-developmnt"})
    walk.problem("GET", "orders", 422, "validation_failed", params={"limit": 1000})
    walk.problem("GET", "orders/order-abc", 422, "malformed_id")
    walk.problem("GET", "orders/order-1", 404, "not_found")
    return f"веб-разработка от 1000 ₽: {found['total']}"


def create_leads(walk: Walk) -> str:
    found = walk.ask("GET", "orders", params={"kind": "project", "limit": 5, "create_leads": "true"})
    states = sorted({row["lead"]["state"] for row in found["items"] if row["lead"]})
    expect(found["items"], "нет ни одного проекта")
    expect(states == ["synced"], f"состояния лидов: {states}")
    return f"лидов: {len(found['items'])} ({', '.join(states)})"


def gigs(walk: Walk) -> str:
    found = walk.ask("GET", "gigs/")
    expect(found["total"] or not walk.stand, "ни одного кворка не прочитано")
    if found["items"]:
        walk.ask("GET", f"gigs/{found['items'][0]['id']}")
    return f"кворков: {found['total']}"


def chat(walk: Walk) -> str:
    found = walk.ask("GET", "chat/")
    expect(found["total"] or not walk.stand, "ни одного диалога не прочитано")
    messages = 0
    if found["items"]:
        messages = walk.ask("GET", f"chat/{found['items'][0]['id']}/messages/")["total"]
    walk.problem("GET", "chat/nobody-by-that-name/messages", 404, "not_found")
    return f"диалогов: {found['total']}, сообщений в первом: {messages}"


def offers(walk: Walk) -> str:
    answer = walk.client.get("/api/v1/offers/")
    if answer.status_code == 409 and not walk.stand:
        return str(answer.json()["detail"])
    found = walk.ask("GET", "offers", params={"status": "new,viewed,chosen", "limit": 5})
    expect(found["total"] or not walk.stand, "ни одного отклика не прочитано")
    walk.problem("GET", "offers", 422, "unknown_status", params={"status": "lost"})
    return f"откликов: {answer.json()['total']}"


def upload(walk: Walk) -> str:
    content = "Готовый макет".encode()
    sent = [("files", ("../макет.txt", content)), ("files", ("архив.zip", b"PK\x05\x06" + bytes(18)))]
    first, second = walk.ask("POST", "files/", 201, files=sent)["items"]
    expect(first["name"] == "макет.txt", f"имя файла: {first['name']}")
    listed = [file["id"] for file in walk.ask("GET", "files/")["items"]]
    expect({first["id"], second["id"]} <= set(listed), "загруженного нет в списке")
    expect(walk.file(f"files/{first['id']}/content") == content, "вернулось не то, что загрузили")
    key = {"Idempotency-Key": "макет".encode().hex()}
    again = [walk.ask("POST", "files", 201, files=sent[:1], headers=key)["items"][0] for _ in range(2)]
    expect(again[0] == again[1], "тот же Idempotency-Key загрузил файл дважды")
    walk.problem("POST", "files", 422, "idempotency_key_reused", files=sent[1:], headers=key)
    for name, body, code in (("a.exe", b"MZ", "file_type_not_allowed"), ("a.pdf", b"", "file_empty")):
        walk.problem("POST", "files", 422, code, content=body, params={"name": name})
    for file in (first, second, again[0]):
        walk.ask("DELETE", f"files/{file['id']}", 204)
    walk.problem("GET", f"files/{first['id']}", 404, "not_found")
    return "загружены, возвращены как есть, удалены"


def attachments(walk: Walk) -> str:
    for dialog in walk.ask("GET", "chat")["items"]:
        found = walk.ask("GET", f"chat/{dialog['id']}/messages", params={"limit": 200})["items"]
        for message in found:
            for file in message["files"]:
                size = len(walk.file(f"chat/{dialog['id']}/messages/{message['id']}/files/{file['id']}"))
                expect(size == file["size"], f"скачано {size} байт вместо {file['size']}")
                return f"{file['name']}: {size} байт"
    expect(not walk.stand, "ни у одного сообщения нет вложения")
    return "вложений нет"


def events(walk: Walk) -> str:
    query = {"last_event_id": 0, "follow": "false"}
    answer = walk.client.get("/api/v1/events", params=query)
    expect(answer.status_code == 200, f"поток событий: код {answer.status_code}: {answer.text[:200]}")
    told = answer.text.count("\nevent: ")
    expect(told or not walk.stand, "ни одного события, хотя синхронизация была")
    walk.problem("GET", "events", 422, "unknown_event_type", params={"types": "order.made"})
    return f"событий в журнале: {told}"


def webhooks(walk: Walk) -> str:
    made = walk.ask("POST", "webhooks/", 201, json={"url": "https://93.184.216.34/", "active": False})
    expect(made["secret"].startswith("whsec_"), "нет секрета")
    path = f"webhooks/{made['id']}"
    expect("secret" not in walk.ask("PUT", path, json={"types": ["message.*"]}), "секрет показан ещё раз")
    expect(walk.ask("POST", f"{path}/rotate-secret/")["secret"] != made["secret"], "секрет не сменился")
    walk.ask("GET", f"{path}/deliveries/")
    walk.ask("DELETE", path, 204)
    walk.problem("GET", path, 404, "not_found")
    walk.problem("POST", "webhooks", 422, "address_not_public", json={"url": "https://127.0.0.1/"})
    return "создан, изменён, секрет сменён, удалён"


def searches(walk: Walk) -> str:
    filters = {"categories": ["script-programming"], "min_price": 1}
    shown = walk.ask("POST", "searches/preview/", json={"filters": filters})
    expect(shown["matching"] >= len(shown["items"]), "в превью показано больше, чем найдено")
    made = walk.ask("POST", "searches/", 201, json={"name": "Проверка API", "filters": filters})
    path = f"searches/{made['id']}"
    try:
        expect(not walk.ask("PUT", path, json={"enabled": False})["enabled"], "поиск не выключился")
        ran = walk.ask("POST", f"{path}/run/")
        expect(ran["matching"] == shown["matching"], "нашлось не то, что обещало превью")
        expect(walk.ask("GET", path)["matched"] == ran["new"], "найденное не сосчитано")
        walk.problem("POST", "searches", 409, "search_name_taken", json={"name": "Проверка API"})
    finally:
        walk.ask("DELETE", path, 204)
    walk.problem("GET", path, 404, "not_found")
    unknown = {"name": "x", "filters": {"categories": ["programing"]}}
    walk.problem("POST", "searches", 422, "unknown_category", json=unknown)
    return f"под поиск подошло проектов: {ran['matching']}"


def bad_requests(walk: Walk) -> str:
    walk.problem("GET", "nowhere", 404, "unknown_route")
    walk.problem("DELETE", "orders", 405, "method_not_allowed")
    kind = {"Content-Type": "application/json"}
    walk.problem("POST", "auth/login", 422, "malformed_json", content=b"{", headers=kind)
    walk.problem("POST", "auth/login", 413, "body_too_large", content=b"x" * 10_000_000, headers=kind)
    return "неверные запросы отвергнуты с понятной причиной"


def logout(walk: Walk) -> str:
    walk.ask("POST", "auth/logout", 204)
    walk.problem("GET", "auth/me", 401, "token_revoked")
    return "токен отозван"


Check = tuple[str, Callable[[Walk], str]]

READING: tuple[Check, ...] = (
    ("Список аккаунтов", accounts),
    ("Проекты и заказы", orders),
    ("Фильтры", filters),
    ("Кворки", gigs),
    ("Чаты", chat),
    ("Отклики", offers),
    ("Состояние синхронизации", sync_status),
    ("События", events),
    ("Неверные запросы", bad_requests),
    ("Выход", logout),
)
ENTERING: tuple[Check, ...] = (
    ("Жив и готов", health),
    ("Документация", documents),
    ("Вход", login),
    ("Чужой тенант", other_tenant),
)
CHANGING: tuple[Check, ...] = (
    ("Подключение аккаунта", connect_account),
    ("Синхронизация с CRM", sync),
    ("Лиды по запросу", create_leads),
    ("Загрузка файлов", upload),
    ("Вложение сообщения", attachments),
    ("Поиски по бирже", searches),
    ("Вебхуки", webhooks),
    *WRITING,
)


def run(walk: Walk) -> bool:
    """Все проверки по порядку; каждая — строка таблицы."""
    checks = (*ENTERING, *(CHANGING if walk.stand else ()), *READING)
    good = 0
    for title, check in checks:
        started = time.perf_counter()
        try:
            verdict, note = "да ", check(walk)
            good += 1
        except Failed as failure:
            verdict, note = "НЕТ", str(failure)
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            verdict, note = "НЕТ", f"ответ не такой, как ожидалось: {type(error).__name__}: {error}"
        print(f"{verdict}  {title:<26} {time.perf_counter() - started:6.2f} с  {note}", flush=True)
    print(f"\nПрошло {good} из {len(checks)}.")
    return good == len(checks)


@contextlib.contextmanager
def own_service() -> Iterator[Walk]:
    """Стенд Kwork, учебная CRM и сервис с пустыми данными; всё заканчивается вместе с проверкой."""
    from tests.stand import Stand  # noqa: PLC0415 - only needed when nothing runs yet

    with Stand.start() as stand, tempfile.TemporaryDirectory(prefix="kwork-test-api-") as folder:
        port = _free_port()
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATA_DIR": f"{folder}/data",
            "LOG_DIR": f"{folder}/logs",
            "KWORK_WEB_URL": stand.web,
            "KWORK_API_URL": stand.api,
            "KWORK_MOBILE_KEY": stand.mobile_key,
            "KWORK_REQUESTS_PER_SECOND": "0",
            "POLL_SECONDS": "0",
            "CRM_API_URL": stand.crm,
            "CRM_API_KEY": stand.crm_key,
        }
        environment = {**os.environ, **settings}
        command = [sys.executable, str(ROOT / "main.py")]
        with Path(folder, "output.txt").open("wb") as output:
            service = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_until_ready(url, service, Path(folder, "output.txt"))
                create = [*command, "admin", "create", "--email", EMAIL]
                subprocess.run(
                    create,
                    cwd=folder,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    input=PASSWORD.encode(),
                )
                with httpx2.Client(base_url=url, timeout=120) as client:
                    yield Walk(client, EMAIL, PASSWORD, stand)
            finally:
                service.terminate()
                service.wait(15)


def _wait_until_ready(url: str, service: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and service.poll() is None:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{url}/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise OSError(f"сервис не запустился:\n{output.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Разбирает параметры и запускает проверку."""
    parser = argparse.ArgumentParser(description="Проверка API Kwork Service.")
    parser.add_argument("--url", metavar="АДРЕС", help="работающий сервис; без него поднимается свой")
    parser.add_argument("--email", metavar="ПОЧТА", help="пользователь работающего сервиса")
    parser.add_argument("--password", metavar="ПАРОЛЬ", help="его пароль")
    given = parser.parse_args()
    if given.url and not (given.email and given.password):
        parser.error("вместе с --url укажите --email и --password")
    try:
        if given.url:
            with httpx2.Client(base_url=given.url.rstrip("/"), timeout=60) as client:
                return 0 if run(Walk(client, given.email, given.password)) else 1
        with own_service() as walk:
            return 0 if run(walk) else 1
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"Проверить не вышло: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
