"""The way out for a CRM whose address a tenant chose: judged at every request, pinned to what was judged.

Any connector takes it as its ``transport``. Addresses that the operator set need none.
"""

import httpx2

from app.crm.http import BEFORE_SENDING, Limits, pooled
from app.domain.errors import Blocked
from app.outside.addresses import AddressGuard, AddressRefused

_MOST_TRIES = 3


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Raises ``Blocked`` for an address that leads inside, before anything leaves; ``code`` is the guard's."""

    def __init__(self, guard: AddressGuard, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._guard = guard
        self._inner = inner or pooled(Limits())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host, addresses = await self._judged(request.url)
        # The certificate is checked for the name; ``Host`` was set from it already.
        request.extensions = {**request.extensions, "sni_hostname": host}
        url, *others = [request.url.copy_with(host=address) for address in addresses[:_MOST_TRIES]]
        for other in others:
            request.url = url
            try:
                return await self._inner.handle_async_request(request)
            except BEFORE_SENDING:
                url = other
        request.url = url
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _judged(self, url: httpx2.URL) -> tuple[str, tuple[str, ...]]:
        """The name and what to connect to. Only the root is judged, so that no path or secret is looked at."""
        try:
            target = self._guard.target(f"{url.scheme}://{url.netloc.decode('ascii')}/")
            return target.host, await self._guard.addresses(target)
        except AddressRefused as refused:
            if refused.code == "address_unknown":
                raise httpx2.ConnectError("the name is unknown") from None
            raise Blocked(
                "Адрес CRM не годится: он должен начинаться с https:// и вести в интернет, а не во внутреннюю сеть.",
                code=refused.code,
            ) from None
