"""Who is signed in where: web sessions, mobile tokens, one-time tokens between the two."""

import hashlib
from dataclasses import dataclass, field
from random import Random

from sandbox.world.clock import DAY, MINUTE, Clock

MOBILE_TOKEN_LIFE = 30 * DAY  # the spec's example, 2 592 000 s; captured traffic has 31 536 000
WEB_AUTH_TOKEN_LIFE = MINUTE  # one-time and one minute [SPEC]


@dataclass(slots=True)
class WebSession:
    id: str
    account_id: int
    csrf: str
    remember: str
    uad: str
    created: float


@dataclass(slots=True)
class WebAuthToken:
    token: str
    account_id: int
    url_to_redirect: str
    expires_at: float


@dataclass(slots=True)
class Sessions:
    """In memory; a reset of the world signs everybody out."""

    clock: Clock
    random: Random
    web: dict[str, WebSession] = field(default_factory=dict)
    remembered: dict[str, int] = field(default_factory=dict)
    mobile: dict[str, tuple[int, float]] = field(default_factory=dict)
    bridges: dict[str, WebAuthToken] = field(default_factory=dict)
    sign_ins: list[float] = field(default_factory=list)  # of any surface, for the strict rule
    captcha_passes: dict[str, bool] = field(default_factory=dict)  # pass token -> captcha solved

    def _hex(self, length: int) -> str:
        return f"{self.random.getrandbits(length * 4):0{length}x}"

    def open_web(self, account_id: int, uad: str = "") -> WebSession:
        remember = f"{account_id}_$2y$10${hashlib.sha256(self._hex(32).encode()).hexdigest()[:53]}"
        session = WebSession(
            self._hex(26), account_id, self._hex(32), remember, uad or self._hex(40), self.clock.now()
        )
        self.web[session.id] = session
        self.remembered[remember] = account_id
        return session

    def close_web(self, session_id: str, *, forget: bool = True) -> None:
        """Ends a web session; with `forget` the long-lived cookie dies too."""
        session = self.web.pop(session_id, None)
        if session and forget:
            self.remembered.pop(session.remember, None)

    def close_all(self, account_id: int | None = None, *, forget: bool = True) -> int:
        """Signs an account (or everybody) out on both surfaces; answers how many sessions ended.

        Without `forget` only the short web sessions end: the long-lived cookie revives them.
        """
        web = [s.id for s in self.web.values() if account_id in (None, s.account_id)]
        for session_id in web:
            self.close_web(session_id, forget=forget)
        if not forget:
            return len(web)
        for remember in [r for r, a in self.remembered.items() if account_id in (None, a)]:
            del self.remembered[remember]
        tokens = [t for t, (owner, _) in self.mobile.items() if account_id in (None, owner)]
        for token in tokens:
            del self.mobile[token]
        return len(web) + len(tokens)

    def open_mobile(self, account_id: int) -> tuple[str, int]:
        """A token and its life in seconds."""
        token = self._hex(64)
        self.mobile[token] = (account_id, self.clock.now() + MOBILE_TOKEN_LIFE)
        return token, MOBILE_TOKEN_LIFE

    def mobile_account(self, token: str) -> int | None:
        account_id, expires = self.mobile.get(token, (None, 0.0))
        return account_id if expires > self.clock.now() else None

    def open_bridge(self, account_id: int, url_to_redirect: str) -> WebAuthToken:
        """A one-time token for `/login-by-token`, good for a minute; any number may be open."""
        expires = self.clock.now() + WEB_AUTH_TOKEN_LIFE
        bridge = WebAuthToken(self._hex(48), account_id, url_to_redirect, expires)
        self.bridges[bridge.token] = bridge
        return bridge

    def cross_bridge(self, token: str) -> WebAuthToken | None:
        """Uses the token up; None when it is unknown, used or too old."""
        bridge = self.bridges.pop(token, None)
        return bridge if bridge and bridge.expires_at > self.clock.now() else None

    def note_sign_in(self) -> int:
        """Records a sign-in from this address and answers how many there were in three minutes."""
        now = self.clock.now()
        self.sign_ins = [at for at in self.sign_ins if now - at < 3 * MINUTE] + [now]
        return len(self.sign_ins)

    def is_address_blocked(self, strict_after: int = 3) -> bool:
        """Whether the address signed in too often of late; looks only, records nothing."""
        now = self.clock.now()
        return sum(now - at < 3 * MINUTE for at in self.sign_ins) >= strict_after

    def new_captcha_pass(self) -> str:
        """A token that spares the next captcha once this one is solved (`recaptcha_pass_token`)."""
        token = self._hex(40)
        self.captcha_passes[token] = False
        return token
