"""Error families, cut by what must happen next.

    ServiceError
     ├─ VendorError            Kwork or a CRM did not do what was asked
     │   ├─ AuthExpired        sign in again, once
     │   ├─ ChallengeRequired  a person must act (captcha, phone digits, new device)
     │   ├─ Blocked            the vendor refuses this address or account: stop all traffic, tell
     │   ├─ RateLimited        wait ``retry_after`` seconds
     │   ├─ Unavailable        nothing happened; try later
     │   ├─ Rejected           permanent: the same request will never pass
     │   ├─ LayoutChanged      the vendor's shape drifted: stop that reading, alert
     │   └─ Ambiguous          it may have happened: reconcile before anything else
     ├─ StorageUnavailable     the disk does not take or give files now
     │   └─ StorageFull        it has no room: a person must make some
     └─ RequestError           the caller asked for something that cannot be done
         ├─ NotFound           not there, or another tenant's (the answer is the same)
         ├─ Conflict           the state of things forbids it now
         ├─ Invalid            the request itself is wrong
         ├─ TooLarge           more bytes than may come
         ├─ TooSlow            the request did not arrive whole in time
         ├─ CapabilityUnavailable   the account lacks a surface; says what to set
         ├─ Unauthenticated    no valid token
         └─ Forbidden          a valid token without the right

Every error carries a stable ``code`` (part of the API) and a message that never holds a secret.
``app/api/problems.py`` alone turns them into HTTP; ``app/marketplaces/*/errors.py`` and
``app/crm/*/errors.py`` turn vendors' codes into them.
"""

from __future__ import annotations

from enum import StrEnum


class ServiceError(Exception):
    """Base of all expected errors. ``code`` is stable; ``detail`` is a sentence for people."""

    code = "error"
    retryable = False
    needs_person = False

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class VendorError(ServiceError):
    """Kwork or a CRM did not do what was asked."""

    code = "vendor_error"


class AuthExpired(VendorError):
    """The session or key is no longer accepted: sign in again, once."""

    code = "auth_expired"


class Challenge(StrEnum):
    """What Kwork asks a person for."""

    CAPTCHA = "captcha"
    PHONE_DIGITS = "phone_digits"
    NEW_DEVICE = "new_device"
    QUIZ = "anti_phishing_quiz"
    TWO_FACTOR = "two_factor"
    PASSWORD = "password"  # noqa: S105 - the name of a challenge


class ChallengeRequired(VendorError):
    """A person must act before the account can go on."""

    code = "challenge_required"
    needs_person = True

    def __init__(self, detail: str, *, challenge: Challenge, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.challenge = challenge


class Blocked(VendorError):
    """The vendor refuses this address or account. All traffic stops until a person looks."""

    code = "blocked"
    needs_person = True


class RateLimited(VendorError):
    """Wait ``retry_after`` seconds before the next request."""

    code = "rate_limited"
    retryable = True

    def __init__(self, detail: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Unavailable(VendorError):
    """Surely nothing happened; the same request may pass later."""

    code = "unavailable"
    retryable = True

    def __init__(self, detail: str, *, retry_after: float | None = None, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Maintenance(Unavailable):
    """Kwork shows «Технические работы»."""

    code = "kwork_maintenance"


class Rejected(VendorError):
    """Permanent: the same request will never pass."""

    code = "rejected"


class LayoutChanged(VendorError):
    """The vendor's shape drifted. ``path`` names the field (``wants[3].priceLimit``), never its value."""

    code = "layout_changed"

    def __init__(self, detail: str, *, path: str, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.path = path
        self.detail = f"Вид данных изменился, читать их дальше нельзя ({path}): {detail.rstrip('.')}."


class Ambiguous(VendorError):
    """The request may have taken effect. Look it up before anything else is sent."""

    code = "ambiguous"


class StorageUnavailable(ServiceError):
    """The disk does not take or give files now; nothing was kept."""

    code = "storage_unavailable"
    retryable = True


class StorageFull(StorageUnavailable):
    """The disk has no room. A person must make some."""

    code = "storage_full"
    retryable = False
    needs_person = True


class RequestError(ServiceError):
    """The caller asked for something that cannot be done."""

    code = "request_error"


class NotFound(RequestError):
    """Not there, or another tenant's: the answer is the same."""

    code = "not_found"


class Conflict(RequestError):
    """The state of things forbids it now."""

    code = "conflict"


class Invalid(RequestError):
    """The request itself is wrong. ``field`` names the culprit where there is one."""

    code = "invalid"

    def __init__(self, detail: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.field = field


class TooLarge(RequestError):
    """More bytes than may come. ``field`` names the culprit where there is one."""

    code = "body_too_large"

    def __init__(self, detail: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.field = field


class TooSlow(RequestError):
    """The request did not arrive whole in time."""

    code = "request_too_slow"
    retryable = True


class CapabilityUnavailable(RequestError):
    """The account lacks what this needs. The message says why and what to set."""

    code = "capability_unavailable"


class Unauthenticated(RequestError):
    """No valid token or key."""

    code = "unauthenticated"


class Forbidden(RequestError):
    """A valid token without the right, or for another tenant."""

    code = "forbidden"
