"""The documentation page. Everything it needs comes from the service itself: it works without the internet."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse

from app.api.rows import json_answer

# Swagger UI as fastapi-offline ships it; its own code is not used.
_FILES: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Without this Swagger UI sends the document's address to a validator on the internet.
_PARAMETERS = {"validatorUrl": None}


def add_docs(app: FastAPI, title: str, prefixes: tuple[str, ...], *, root_path: str) -> None:
    """``/docs`` and what it loads, below each of the prefixes; ``/openapi.json`` beside it.

    ``root_path``: where a gateway shows the API, if it is known.
    """
    folder = _folder()

    async def docs(request: Request) -> Response:
        # Unless the gateway's prefix is known, the browser is told places beside the page, so that any prefix works.
        beside = "" if request.scope["raw_path"].endswith(b"/") else "docs/"
        if root_path:
            beside = f"{root_path}/docs/"
        return get_swagger_ui_html(
            openapi_url=f"{beside}openapi.json",
            title=title,
            swagger_js_url=f"{beside}swagger-ui-bundle.js",
            swagger_css_url=f"{beside}swagger-ui.css",
            swagger_favicon_url=f"{beside}favicon.png",
            swagger_ui_parameters=_PARAMETERS,
        )

    async def document() -> Response:
        return json_answer(app.openapi())

    for prefix in prefixes:
        app.add_api_route(f"{prefix}/docs", docs, include_in_schema=False)
        app.add_api_route(f"{prefix}/docs/openapi.json", document, include_in_schema=False)
        app.add_api_route(f"{prefix}/openapi.json", document, include_in_schema=False)
        for name, media_type in _FILES.items():
            _add_file(app, f"{prefix}/docs/{name}", folder / name, media_type)


def _add_file(app: FastAPI, route: str, path: Path, media_type: str) -> None:
    async def file() -> Response:
        return FileResponse(path, media_type=media_type)

    app.add_api_route(route, file, include_in_schema=False)


def _folder() -> Path:
    spec = find_spec("fastapi_offline")
    [package] = (spec and spec.submodule_search_locations) or ["fastapi_offline"]
    return Path(package) / "static"
