"""Style sheets and scripts that pages link, as the site does: named by their content, kept by browsers for ever."""

import hashlib

from starlette.responses import Response

from sandbox.web.exchange_script import EXCHANGE_SCRIPT
from sandbox.web.visit import Visit, html

FOR_EVER = "public, max-age=31536000, immutable"

_STYLE = ".want-card__mark-viewed{display:none}.visually-hidden,.d-none{display:none}" + "".join(
    f".m-{n}-{k}{{margin:{n}px;padding:{k}px}}" for n in range(40) for k in (0, 4, 8, 12)
)
_ASSETS = {
    "app.css": ("text/css; charset=UTF-8", _STYLE.encode()),
    "exchange.js": ("text/javascript; charset=UTF-8", EXCHANGE_SCRIPT.encode()),
}


def address(name: str) -> str:
    """Where pages link it."""
    digest = hashlib.md5(_ASSETS[name][1], usedforsecurity=False).hexdigest()[:10]
    return f"/assets/{name}?v={digest}"


async def asset(visit: Visit) -> Response:
    kind, content = _ASSETS.get(visit.request.path_params["name"], ("", b""))
    if not kind:
        return html("", 404)
    return Response(content, headers={"content-type": kind, "cache-control": FOR_EVER})
