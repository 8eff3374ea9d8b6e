"""What an answer means for this profile: its own rules first, then the table for CRMs that keep to HTTP."""

from collections.abc import Sequence
from typing import Final, Literal

from app.crm.answers import Unreadable, json_of, parsed
from app.crm.http import Answer
from app.crm.profile.parts import Rule
from app.crm.profile.queries import QueryFailed
from app.crm.refusals import Family, Refusals
from app.crm.waiting import retry_after
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError

Success = Literal["created", "exists"]

_FAMILIES: Final[dict[str, Family]] = {
    "throttled": RateLimited,
    "refused": Rejected,
    "blocked": Blocked,
    "auth": AuthExpired,
}


class Judge:
    """Tells successes from the rest; the rest is raised."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def write(self, rules: Sequence[Rule], answer: Answer) -> Success:
        """Raises the families of a write: ``Ambiguous`` when it may have happened."""
        rule = _fitting(rules, answer)
        if rule is not None and rule.means in ("created", "exists"):
            self._no_error_inside(rule, answer)
            return "created" if rule.means == "created" else "exists"
        if rule is not None:
            raise self._of(rule.means, answer, write=True)
        if not 200 <= answer.status < 300:
            raise self._refusals.of_status(answer, write=True)
        self._no_error_inside(None, answer)
        return "created"

    def read(self, rules: Sequence[Rule], answer: Answer) -> object:
        """The JSON of a good answer. Raises the families of a read: ``Unavailable`` when it says nothing."""
        rule = _fitting(rules, answer)
        if rule is not None and rule.means not in ("created", "exists"):
            raise self._of(rule.means, answer, write=False)
        if not 200 <= answer.status < 300:
            raise self._refusals.of_status(answer, write=False)
        try:
            return parsed(answer)
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=False) from None

    def unclear_read(self, words: str) -> VendorError:
        """For an answer that is good JSON and yet says nothing."""
        return self._refusals.unclear(words, write=False)

    def unclear_write(self, words: str) -> VendorError:
        return self._refusals.unclear(words, write=True)

    def refused(self, answer: Answer) -> VendorError:
        return self._refusals.of_family(Rejected, answer)

    def _no_error_inside(self, rule: Rule | None, answer: Answer) -> None:
        """A rule that looked into the JSON knows better."""
        if answer.status == 204 or not 200 <= answer.status < 300 or (rule is not None and rule.match):
            return
        try:
            parsed(answer)
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=True) from None

    def _of(self, means: str, answer: Answer, *, write: bool) -> VendorError:
        if means in _FAMILIES:
            return self._refusals.of_family(_FAMILIES[means], answer)
        detail = self._refusals.of_family(Ambiguous, answer).detail
        if means == "retry":
            return Unavailable(detail, retry_after=retry_after(answer.headers))
        return Ambiguous(detail) if write else Unavailable(detail)


def _fitting(rules: Sequence[Rule], answer: Answer) -> Rule | None:
    return next((rule for rule in rules if rule.fits_status(answer.status) and _matches(rule, answer)), None)


def _matches(rule: Rule, answer: Answer) -> bool:
    if rule.match is None:
        return True
    try:
        return bool(rule.match.of(json_of(answer)))
    except (Unreadable, QueryFailed):
        return False
