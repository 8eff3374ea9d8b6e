"""Calls of a portal's methods; the only place where the webhook's address is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import httpx2
import orjson

from app.crm.bitrix24.errors import Refusals
from app.crm.bitrix24.operating import OperatingTimes
from app.crm.bitrix24.settings import Bitrix24Settings
from app.crm.cleaning import Cleaner
from app.crm.http import Answer, FencedHttp, Headers, Limits, Unclear, Unsent
from app.domain.errors import Unavailable, VendorError

_HEADERS: Final[Headers] = (
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", "kwork-service"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A method with its parameters."""

    method: str
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """As ``batch`` takes it: ``method?a[b]=c``, names and values URL-encoded [doc batch, data-encoding]."""
        pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in _flat(self.params))
        return f"{self.method}?{'&'.join(pairs)}"


class Rest:
    """One tenant's webhook; holds keep-alive pools of its own, so close it with ``aclose``."""

    def __init__(
        self, settings: Bitrix24Settings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._address = settings.webhook_url.get_secret_value()
        self._operating = OperatingTimes()
        cleaner = Cleaner(*settings.secrets)
        self._refusals = Refusals(cleaner, self._operating)
        self._http = FencedHttp(_limits(settings), transport, lambda: cleaner)

    async def read(self, call: Call) -> object:
        """``result`` of the answer. Raises the families of ``app.domain.errors``."""
        return (await self._send(call, write=False))["result"]

    async def write(self, call: Call) -> object:
        """The same of a call that changes something; ``Ambiguous`` when it may have."""
        return (await self._send(call, write=True))["result"]

    async def batch(self, calls: Mapping[str, Call], *, write: bool) -> dict[str, object]:
        """``result`` of each call, or the ``VendorError`` it met, by the calls' names (not numbers: PHP would make
        a list of them). All calls are tried (``halt`` 0); at most 50 [doc batch]."""
        if not calls:
            return {}
        commands = {name: str(call) for name, call in calls.items()}
        batch = Call("batch", {"halt": 0, "cmd": commands})
        body = (await self._send(batch, write=write))["result"]
        if not isinstance(body, dict) or "result_error" not in body:
            raise self._refusals.unclear("batch without its parts", write=write)
        results, errors = _by_name(body.get("result")), _by_name(body["result_error"])
        times = _by_name(body.get("result_time"))
        for name, call in calls.items():
            self._operating.note(call.method, times.get(name))
        return {name: self._outcome(name, call, results, errors, write) for name, call in calls.items()}

    def shown(self, method: str) -> str:
        """A method's address without the secret in it."""
        root, _, _ = self._address.rpartition("/")
        return f"{root}/***/{method}"

    def unclear(self, detail: str, *, write: bool) -> VendorError:
        return self._refusals.unclear(detail, write=write)

    async def aclose(self) -> None:
        await self._http.aclose()

    def _outcome(
        self, name: str, call: Call, results: dict[str, object], errors: dict[str, object], write: bool
    ) -> object:
        if name in errors:
            return self._refusals.of_call(errors[name], call.method, write=write)
        if name in results:
            return results[name]
        return self._refusals.unclear("one call of the batch has no answer", write=write)

    async def _send(self, call: Call, *, write: bool) -> dict[str, object]:
        url = httpx2.URL(f"{self._address}/{call.method}")
        try:
            answer = await self._http.send("POST", url, _HEADERS, orjson.dumps(call.params))
        except Unsent as error:
            raise Unavailable(f"CRM недоступна: соединиться не удалось ({error}).") from None
        except Unclear as error:
            raise self._refusals.unclear(str(error), write=write) from None
        return self._envelope(answer, call.method, write=write)

    def _envelope(self, answer: Answer, method: str, *, write: bool) -> dict[str, object]:
        if not 200 <= answer.status < 300:
            raise self._refusals.of_answer(answer, method, write=write)
        body = _parsed(answer)
        if isinstance(body, dict) and "error" in body:
            raise self._refusals.of_answer(answer, method, write=write)
        if not isinstance(body, dict) or "result" not in body:
            raise self._refusals.unclear(f"HTTP {answer.status} without a result", write=write)
        self._operating.note(method, body.get("time"))
        return body


def _parsed(answer: Answer) -> object:
    try:
        return orjson.loads(answer.body) if answer.is_json else None
    except orjson.JSONDecodeError:
        return None


def _by_name(part: object) -> dict[str, object]:
    """PHP writes an empty map as ``[]`` [doc batch]."""
    return part if isinstance(part, dict) else {}


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Nested parameters as PHP names them: ``fields[contactIds][0]``."""
    if isinstance(value, Mapping):
        parts = [(f"{name}[{key}]" if name else str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{name}[{number}]", inner) for number, inner in enumerate(value)]
    else:
        return [(name, "" if value is None else str(value))]
    return [pair for part, inner in parts for pair in _flat(inner, part)]


def _limits(settings: Bitrix24Settings) -> Limits:
    return Limits(
        total_seconds=settings.total_timeout_seconds,
        max_answer_bytes=settings.max_answer_bytes,
        max_connections=settings.max_connections,
        keepalive_seconds=settings.keepalive_seconds,
    )
