"""A profile made ready to use: every template and query compiled, and tried on samples. Holds no secret."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

from app.crm.profile.faults import faults
from app.crm.profile.model import Answer, CheckStep, Find, Make, Profile, Resource, SetUpStep
from app.crm.profile.parts import (
    Call,
    Lookup,
    Reading,
    ReadyCheck,
    ReadyProfile,
    ReadyResource,
    ReadyStep,
    Rule,
)
from app.crm.profile.queries import Query
from app.crm.profile.reading import NotAProfile, load
from app.crm.profile.record import (
    CONTACT,
    LEAD,
    NOTE,
    PAGE,
    SAMPLE_CONTACTS,
    SAMPLE_LEADS,
    SAMPLE_NOTE,
    contact_values,
    lead_values,
    note_values,
    scope,
)
from app.crm.templates.language import Refused, Scope
from app.crm.templates.rendering import (
    AddressTemplate,
    BodyTemplate,
    TemplateFailed,
    TextTemplate,
    Tree,
    Values,
)
from app.domain.crm import Entity, LeadStatus

T = TypeVar("T")
_SAMPLE_ID: Final = "12"
_SAMPLE_SECRET: Final = "s"  # noqa: S105 - stands for any while a profile is tried
_FREE: Final[frozenset[str] | None] = None


@lru_cache(maxsize=128)
def ready(text: str) -> ReadyProfile:
    """The profile of this text. Raises pydantic's ``ValidationError`` with the path of each fault."""
    try:
        data = load(text)
    except NotAProfile as error:
        raise faults([("", Refused("profile_syntax", str(error)))]) from None
    return compiled(Profile.model_validate(data))


def compiled(profile: Profile) -> ReadyProfile:
    """Raises pydantic's ``ValidationError`` with the path of each fault."""
    return _Compiler(profile).made()


class _Compiler:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._problems: list[tuple[str, Refused]] = []
        self._values = frozenset(profile.values)
        self._common = self._rules("answers", profile.answers)

    def made(self) -> ReadyProfile:
        profile = self._profile
        plain, secret = scope(self._values), scope(self._values, secrets=frozenset(profile.secrets))
        made = ReadyProfile(
            source=profile,
            stages={status: profile.statuses.get(status.value, status.value) for status in LeadStatus},
            rules=self._common,
            headers=self._headers("headers", profile.headers, plain),
            secret_headers=self._headers("secret_headers", profile.secret_headers, secret),
            secret_path=self._address("secret_path", profile.secret_path, secret)
            if profile.secret_path
            else None,
            resources={
                Entity.LEAD: self._resource("lead", profile.lead, LEAD),
                Entity.CONTACT: self._resource("contact", profile.contact, CONTACT),
            },
            note=self._note(),
            note_id=self._maybe_query("note.id", profile.note.id if profile.note else None),
            set_up=tuple(self._step(f"set_up.{n}", step) for n, step in enumerate(profile.set_up)),
            check=tuple(self._check(f"check.{n}", step) for n, step in enumerate(profile.check)),
        )
        if not self._problems:
            self._try(made)
        if self._problems:
            raise faults(self._problems)
        return made

    def _resource(self, name: str, source: Resource, fields: frozenset[str]) -> ReadyResource:
        record = scope(self._values, **{name: fields})
        known = scope(self._values, **{name: fields, "id": _FREE})
        create = self._call(f"{name}.create", "POST", source.create, record)
        update = self._call(f"{name}.update", "PATCH", source.update, known)
        if source.update.body is None:
            update = Call(update.method, update.path, create.body, update.rules)
        return ReadyResource(
            create,
            self._query(f"{name}.create.id", source.create.id),
            self._maybe_query(f"{name}.create.key", source.create.key),
            update,
            self._maybe_query(f"{name}.update.id", source.update.id),
            self._lookup(f"{name}.find", source.find) if source.find else None,
            self._reading(f"{name}.read", source.read) if source.read else None,
            source,
        )

    def _call(self, path: str, method: str, source: Any, names: Scope) -> Call:
        return Call(
            getattr(source, "method", method),
            self._address(f"{path}.path", source.path, names),
            None if source.body is None else self._body(f"{path}.body", source.body, names),
            self._rules(f"{path}.answers", source.answers) + self._common,
        )

    def _lookup(self, path: str, find: Find) -> Lookup:
        names = scope(self._values, key=_FREE, **({"page": PAGE} if find.page else {}))
        if find.page is not None and "page." not in find.path:
            refused = Refused("page_unused", "в path нет ни page.number, ни page.offset")
            self._problems.append((f"{path}.path", refused))
        return Lookup(
            self._address(f"{path}.path", find.path, names),
            self._query(f"{path}.rows", find.rows),
            self._query(f"{path}.id", find.id),
            self._query(f"{path}.key", find.key),
            find,
        )

    def _reading(self, path: str, read: Any) -> Reading:
        def query(name: str) -> Query | None:
            return self._maybe_query(f"{path}.{name}", getattr(read, name, None))

        return Reading(
            self._address(f"{path}.path", read.path, scope(self._values, id=_FREE)),
            self._query(f"{path}.id", read.id),
            query("key"),
            query("stage"),
            query("changed_at"),
        )

    def _note(self) -> Call | None:
        note = self._profile.note
        if note is None:
            return None
        return self._call("note", "POST", note, scope(self._values, note=NOTE, lead_id=_FREE))

    def _step(self, path: str, step: SetUpStep) -> ReadyStep:
        plain = scope(self._values)
        make: Make = step.make
        return ReadyStep(
            self._address(f"{path}.look.path", step.look.path, plain),
            self._query(f"{path}.look.found", step.look.found),
            self._call(f"{path}.make", make.method, make, plain),
            step,
        )

    def _headers(
        self, path: str, source: Mapping[str, str], names: Scope
    ) -> tuple[tuple[str, TextTemplate], ...]:
        return tuple(
            (name, self._kept(f"{path}.{name}", partial(TextTemplate, f"{path}.{name}", one, names)))
            for name, one in source.items()
        )

    def _rules(self, path: str, answers: list[Answer]) -> tuple[Rule, ...]:
        return tuple(
            Rule(
                frozenset(rule.status),
                self._maybe_query(f"{path}.{number}.match", rule.match),
                rule.means,
            )
            for number, rule in enumerate(answers)
        )

    def _address(self, path: str, source: str, names: Scope) -> AddressTemplate:
        return self._kept(path, partial(AddressTemplate, path, source, names))

    def _body(self, path: str, source: Tree, names: Scope) -> BodyTemplate:
        if not isinstance(source, dict | str):
            self._problems.append((path, Refused("body_shape", "тело — это объект или шаблон текста JSON")))
        return BodyTemplate(path, source, names, self._problems)

    def _check(self, path: str, step: CheckStep) -> ReadyCheck:
        return ReadyCheck(
            self._address(f"{path}.path", step.path, scope(self._values)),
            self._maybe_query(f"{path}.expect", step.expect),
            step.name,
            step.otherwise,
        )

    def _query(self, path: str, source: str) -> Query:
        return self._kept(path, partial(Query, source))

    def _maybe_query(self, path: str, source: str | None) -> Query | None:
        return None if source is None else self._query(path, source)

    def _kept(self, path: str, make: Callable[[], T]) -> T:
        """What could not be made is noted; the profile is refused before anybody uses it."""
        try:
            return make()
        except Refused as problem:
            self._problems.append((path, problem))
            return None  # type: ignore[return-value]

    def _try(self, made: ReadyProfile) -> None:
        """Every template on full and on bare records, so that a profile fails here and not on a real order."""
        given = {
            name: "1" if one.default is None else one.default for name, one in made.source.values.items()
        }
        common: Values = {"values": given}
        secrets = {"secrets": dict.fromkeys(made.source.secrets, _SAMPLE_SECRET)}
        self._render([one for _, one in made.headers], common)
        self._render([one for _, one in made.secret_headers], {**common, **secrets})
        self._render([made.secret_path], {**common, **secrets})
        leads = [{"lead": lead_values(lead, made.stages)} for lead in SAMPLE_LEADS]
        contacts = [{"contact": contact_values(contact)} for contact in SAMPLE_CONTACTS]
        for entity, samples in ((Entity.LEAD, leads), (Entity.CONTACT, contacts)):
            for sample in samples:
                self._try_resource(made.resources[entity], {**common, **sample})
        if made.note is not None:
            note = {"note": note_values(SAMPLE_NOTE), "lead_id": _SAMPLE_ID}
            self._render([made.note.path, made.note.body], {**common, **note})
        for step in made.set_up:
            self._render([step.look, step.make.path, step.make.body], common)
        self._render([step.path for step in made.check], common)

    def _try_resource(self, resource: ReadyResource, values: Values) -> None:
        known = {**values, "id": _SAMPLE_ID}
        self._render([resource.create.path, resource.create.body], values)
        self._render([resource.update.path, resource.update.body], known)
        if resource.lookup is not None:
            page = {"number": 1, "size": 10, "offset": 0}
            self._render([resource.lookup.path], {**values, "key": "kwork:order:1001", "page": page})
        if resource.reading is not None:
            self._render([resource.reading.path], known)

    def _render(self, templates: list[Any], values: Values) -> None:
        for template in templates:
            try:
                if template is not None:
                    template.render(values)
            except TemplateFailed as error:
                self._problems.append((error.path, Refused(error.code, error.why)))
