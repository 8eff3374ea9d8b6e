"""The stand-in Kwork as a process, and a small client of its control API.

    with Stand.start() as stand:
        stand.reset(projects=24, orders=6)
        stand.fault("captcha", surface="web")
        ...
        assert stand.journal(surface="web", path="/api/user/login")

Rows come as the control API gives them: plain dictionaries, unix seconds, whole roubles.
"""

import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Self

import httpx2

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90.0
Row = dict[str, Any]


class Stand:
    """`web`, `api`, `crm`, `control` are base addresses; `accounts` sign-in data, the main one first."""

    def __init__(self, process: subprocess.Popen[bytes], hello: Row, complaints: IO[bytes]) -> None:
        self.process, self._complaints = process, complaints
        self.web: str = hello["web"]
        self.api: str = hello["api"]
        self.crm: str = hello["crm"]
        self.control: str = hello["control"]
        self.notice: str = hello["notice"]
        self.mobile_key: str = hello["mobile_key"]
        self.crm_key: str = hello["crm_key"]
        self.accounts: list[Row] = hello["accounts"]
        self._client = httpx2.Client(base_url=self.control, timeout=30)

    @classmethod
    def start(cls, *arguments: str) -> Self:
        """Starts `python -m sandbox` on free ports; it ends with this process. Raises RuntimeError."""
        command = [sys.executable, "-m", "sandbox", "--die-with-parent", *arguments]
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the stand
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=complaints)
        line = _first_line(process)
        if not line:
            process.kill()
            process.wait()
            raise RuntimeError(f"the sandbox did not start: {_text(complaints)}")
        return cls(process, json.loads(line), complaints)

    def stop(self) -> None:
        self._client.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        for pipe in (self.process.stdout, self._complaints):
            if pipe:
                pipe.close()

    def complaints(self) -> str:
        """What the sandbox wrote to stderr so far: tracebacks of its own faults, normally nothing."""
        return _text(self._complaints)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def login(self) -> str:
        return self.accounts[0]["login"]

    @property
    def password(self) -> str:
        return self.accounts[0]["password"]

    @property
    def username(self) -> str:
        return self.accounts[0]["username"]

    @property
    def user_id(self) -> int:
        return self.accounts[0]["user_id"]

    def call(self, method: str, path: str, /, **given: Any) -> Any:
        """Any route of the control API (`GET /` there lists them). Raises RuntimeError on 4xx and 5xx."""
        sent = {name: value for name, value in given.items() if value is not None}
        where: Row = {"json": sent} if method in {"POST", "PATCH"} else {"params": sent}
        answer = self._client.request(method, path, **where)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.text}")
        return answer.json()

    def reset(self, **size: int) -> Row:
        """A fresh world: `seed, projects, orders, accounts, gigs, dialogs`; what is not named stays."""
        state: Row = self.call("POST", "/reset", **size)
        self.accounts = state["accounts"]
        return state

    def state(self) -> Row:
        return self.call("GET", "/state")

    def set(self, **settings: Any) -> Row:
        """`strict_signin=True`, `mobile_key="user:password"`."""
        return self.call("PATCH", "/settings", **settings)

    def journal(
        self,
        *,
        surface: str | None = None,
        path: str | None = None,
        method: str | None = None,
        account: str | None = None,
        since: int = 0,
    ) -> list[Row]:
        """What arrived, oldest first, with `seq > since`; `path` may end with `*`."""
        wanted = {"surface": surface, "path": path, "method": method, "account": account}
        return self.call("GET", "/journal", **wanted, since=since)

    def mark(self) -> int:
        """The journal's last number: give it to `journal(since=…)` later."""
        last = self.call("GET", "/journal", limit=1)
        return last[-1]["seq"] if last else 0

    def clear_journal(self) -> None:
        self.call("DELETE", "/journal")

    def fault(self, kind: str, *, count: int | None = None, **where_and_params: Any) -> Row:
        """Switches a fault on: `surface`, `path`, `method`, `account`, and the kind's own parameters."""
        return self.call("POST", "/faults", kind=kind, count=count, **where_and_params)

    def faults(self) -> list[Row]:
        return self.call("GET", "/faults")

    def clear_faults(self, surface: str | None = None) -> None:
        self.call("DELETE", "/faults", surface=surface)

    def listeners(self) -> list[Row]:
        """Open websockets of notices."""
        return self.call("GET", "/listeners")

    def cut_listeners(self) -> int:
        """Closes them all."""
        return int(self.call("DELETE", "/listeners")["cut"])

    def now(self) -> float:
        return float(self.call("GET", "/time")["now"])

    def move_time(self, seconds: float) -> Row:
        """Moves the world's clock; orders settle as Kwork would let them."""
        return self.call("POST", "/time", seconds=seconds)

    def sign_out(self, account: str | None = None, *, forget: bool = True) -> int:
        """Ends sessions on both surfaces: of `account`, or of everybody. Without `forget` only short web sessions."""
        return int(self.call("POST", "/sign-out", account=account, forget=forget)["ended"])

    def change_account(self, account: str, **fields: Any) -> Row:
        return self.call("PATCH", f"/accounts/{account}", **fields)

    def web_token(self, account: str | None = None, url: str = "/") -> str:
        """A one-time token for `/login-by-token`, as the mobile surface gives it."""
        return str(self.call("POST", "/bridge", account=account, url_to_redirect=url)["token"])

    def add_user(self, **fields: Any) -> Row:
        return self.call("POST", "/users", **fields)

    def projects(self, *, everything: bool = False) -> list[Row]:
        """Listed projects, newest first."""
        return self.call("GET", "/projects", all=1 if everything else 0)

    def project(self, project_id: int) -> Row:
        return self.call("GET", f"/projects/{project_id}")

    def add_project(self, **fields: Any) -> Row:
        """`name, description, price, category_id, user_id, is_higher_price, …`: all optional."""
        return self.call("POST", "/projects", **fields)

    def change_project(self, project_id: int, **fields: Any) -> Row:
        return self.call("PATCH", f"/projects/{project_id}", **fields)

    def reactivate(self, project_id: int) -> Row:
        return self.call("POST", f"/projects/{project_id}/reactivate")

    def orders(self, account: str | None = None, kind: str = "all") -> list[Row]:
        return self.call("GET", "/orders", account=account, kind=kind)

    def order(self, order_id: int) -> Row:
        """With its tracks and stages."""
        return self.call("GET", f"/orders/{order_id}")

    def add_order(self, **fields: Any) -> Row:
        """`account, payer_id, title, price, duration` (seconds), `stages` ([[title, price], …])."""
        return self.call("POST", "/orders", **fields)

    def advance_order(self, order_id: int, event: str, **fields: Any) -> Row:
        """`take, report, hand_in, rework, accept, cancel_by_buyer, arbitration, …`: `{track, order}`."""
        return self.call("POST", f"/orders/{order_id}/advance", event=event, **fields)

    def suggest_stages(self, order_id: int, **fields: Any) -> Row:
        """The buyer suggests stages: `days`, `message`, `stages` ([[title, price], …])."""
        return self.call("POST", f"/orders/{order_id}/suggestion", **fields)

    def add_order_message(self, order_id: int, text: str, from_id: int | None = None) -> Row:
        return self.call("POST", f"/orders/{order_id}/messages", text=text, from_id=from_id)

    def messages(self, account: str | None = None, user_id: int | None = None) -> list[Row]:
        return self.call("GET", "/messages", account=account, user_id=user_id)

    def add_message(
        self, text: str, *, from_id: int | None = None, account: str | None = None, at: float | None = None
    ) -> Row:
        """A buyer (any one without `from_id`) writes to the account, now or at that moment."""
        return self.call("POST", "/messages", text=text, from_id=from_id, account=account, at=at)

    def gigs(self, account: str | None = None) -> list[Row]:
        return self.call("GET", "/gigs", account=account)

    def add_gig(self, **fields: Any) -> Row:
        return self.call("POST", "/gigs", **fields)

    def categories(self) -> list[Row]:
        """Rubrics with their `children`."""
        return self.call("GET", "/categories")

    def add_category(self, number: int, title: str, slug: str, *, parent_id: int) -> Row:
        """A new subrubric."""
        return self.call("POST", "/categories", id=number, title=title, slug=slug, parent_id=parent_id)

    def offers(self, account: str | None = None) -> list[Row]:
        return self.call("GET", "/offers", account=account)

    def add_offer(self, project_id: int, **fields: Any) -> Row:
        """As if made on the site: `account, title, description, price, duration`."""
        return self.call("POST", "/offers", project_id=project_id, **fields)

    def change_offer(self, offer_id: int, **fields: Any) -> Row:
        """`is_read`, `order_id`; `status="cancel"` takes it out of the lists."""
        return self.call("PATCH", f"/offers/{offer_id}", **fields)


def _text(written: IO[bytes]) -> str:
    descriptor = written.fileno()  # read by place: the sandbox writes through the same position
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The sandbox's first line; empty when it ends or stays silent."""
    stdout = process.stdout
    if stdout is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        ready = selector.select(START_SECONDS)
    return stdout.readline() if ready else b""
