"""What exists in the stand-in's world.

Conventions: times are unix seconds (UTC), money is whole roubles, and every text that a person wrote is
kept as Kwork keeps it: HTML-escaped, straight quotes turned into «ёлочки», blank lines collapsed (see
`texts.as_stored`). Surfaces hand texts out as they are here.
"""

from dataclasses import dataclass, field

from sandbox.world.clock import DAY

CHEAP_BELOW = 5000  # budgets below live one day, others two [CAP]
DURATIONS = (1, 2, 3, 4, 5, 6, 7, 10, 14, 21, 30, 45, 60, 75, 90)

# Order statuses [SPEC]
IN_WORK, ARBITRATION, CANCELLED, ON_CHECK, DONE, PAYMENT_DUE = range(1, 7)

# Gig groups on the mobile surface: 7 active, 1 moderation, 2 needs fixes [LIVE]; the others are invented.
GIG_ACTIVE, GIG_MODERATION, GIG_NEEDS_FIXES, GIG_PAUSED, GIG_REJECTED, GIG_DRAFT = 7, 1, 2, 3, 4, 5


@dataclass(slots=True)
class Attribute:
    """Third level of the rubricator; exists only for some subrubrics."""

    id: int
    title: str


@dataclass(slots=True)
class Category:
    """A rubric (`parent_id` None) or a subrubric."""

    id: int
    title: str
    slug: str
    parent_id: int | None = None
    base_price: int = 500
    max_price: int = 70000
    children: list["Category"] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)


@dataclass(slots=True)
class Badge:
    id: int
    title: str
    description: str
    payer_level: int = 0


@dataclass(slots=True)
class StoredFile:
    id: int
    name: str
    size: int
    at: float
    owner_id: int
    hash: str
    mime: str = "application/octet-stream"
    content: bytes | None = None  # None: generated from the hash when somebody downloads it

    @property
    def path(self) -> str:
        """Address below the web host."""
        return f"/files/uploaded/{self.hash[:2]}/{self.hash[2:4]}/{self.hash}/{self.name}"

    def read(self) -> bytes:
        if self.content is not None:
            return self.content
        return (self.hash.encode() * (self.size // len(self.hash) + 1))[: self.size]


@dataclass(slots=True)
class User:
    """Anybody with a profile: buyers, and the public side of sellers."""

    user_id: int
    username: str
    fullname: str = ""
    about: str = ""
    location: str = ""
    profession: str = ""
    slogan: str = ""
    skills: list[str] = field(default_factory=list)
    registered_at: float = 0
    live_at: float = 0
    is_online: bool = False
    wants_count: int = 0
    hired_percent: int = 0
    badges: list[Badge] = field(default_factory=list)
    rating: float = 0.0
    reviews_good: int = 0
    reviews_bad: int = 0
    is_support: bool = False

    @property
    def picture(self) -> str:
        return "noprofilepicture.gif" if self.user_id % 3 == 0 else f"{self.user_id % 97}.jpg"


@dataclass(slots=True)
class Account(User):
    """A seller who can sign in."""

    login: str = ""  # e-mail; the user name works too
    email: str = ""
    password: str = ""
    phone: str = ""
    is_worker: bool = True
    connects_active: int = 30
    connects_all: int = 30
    connects_refill_at: float = -1  # -1: unknown, as the mobile API says [SPEC]
    free_amount: float = 0.0
    hold_amount: float = 0.0
    takes_orders: bool = True
    favourite_categories: list[int] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)  # private notes on users
    viewed_projects: set[int] = field(default_factory=set)

    @property
    def phone_digits(self) -> str:
        """The last four digits that the mobile sign-in may ask for."""
        return self.phone[-4:]


@dataclass(slots=True)
class Project:
    """A want on the exchange. Listed while `status` is active and `now < date_expire`."""

    id: int
    user_id: int
    name: str
    description: str
    category_id: int
    price_limit: int
    date_create: float
    date_active: float
    is_higher_price: bool = False
    status: str = "active"
    max_days: int = 10
    kwork_count: int = 0  # offers made so far
    views: int = 0
    hint: str = "Сбор предложений"
    need_portfolio: bool = False
    need_gig: bool = False
    is_neural: bool = False
    worker_id: int | None = None  # the seller already chosen
    files: list[StoredFile] = field(default_factory=list)
    attribute_ids: list[int] = field(default_factory=list)

    @property
    def possible_price_limit(self) -> int:
        """Three times the budget when the buyer takes higher prices, else the budget [CAP]."""
        return self.price_limit * 3 if self.is_higher_price else self.price_limit

    @property
    def date_expire(self) -> float:
        """One day of life below 5000 roubles, two from there on [CAP]."""
        return self.date_active + (DAY if self.price_limit < CHEAP_BELOW else 2 * DAY)


@dataclass(slots=True)
class Offer:
    """A seller's offer (response) to a project."""

    id: int
    account_id: int
    project_id: int
    title: str
    description: str
    price: int
    duration: int  # days
    created: float
    status: str = "active"
    is_read: bool = False
    order_id: int | None = None


@dataclass(slots=True)
class Stage:
    id: int
    number: int
    title: str
    price: int
    created_at: float
    status: int = 1  # 0 not paid, 1 reserved (in work), 2 on check, 3 done, 4 cancelled: invented numbers
    progress: int = 0


@dataclass(slots=True)
class StageChange:
    """One line of a suggestion: `action` is add, edit or delete; None keeps what is there."""

    action: str
    title: str = ""
    price: int | None = None
    stage_id: int | None = None


@dataclass(slots=True)
class StageSuggestion:
    """Stages that one side of an order suggests and the other has to answer; `days` for the whole order."""

    from_id: int
    days: int
    message: str
    stages: list[StageChange] = field(default_factory=list)


@dataclass(slots=True)
class Track:
    """An event or a message in an order's thread; `type` is from the dictionary of FACTS A6."""

    id: int
    order_id: int
    type: int
    at: float
    from_id: int | None = None
    text: str = ""
    unread: bool = False
    progress: int | None = None
    stage_ids: list[int] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    message_key: str = ""
    deadline: float | None = None


@dataclass(slots=True)
class Order:
    """An order sold by the account `worker_id` to `payer_id`."""

    id: int
    worker_id: int
    payer_id: int
    title: str
    price: int
    status: int
    created: float
    duration: int  # seconds
    description: str = ""
    project_id: int | None = None
    gig_id: int | None = None
    category_id: int = 41
    in_work: bool = False
    is_cancel_request: bool = False
    cancel_reason: str = ""
    cancelled_at: float | None = None
    started_at: float | None = None
    done_at: float | None = None
    progress: int = 0
    note: str = ""
    payment_type: int = 0  # 0 person, 1 subscription, 2 escrow [SPEC]
    provided_data: str = ""
    stages: list[Stage] = field(default_factory=list)
    suggestion: StageSuggestion | None = None
    tracks: list[Track] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        return (self.started_at or self.created) + self.duration

    @property
    def seller_share(self) -> float:
        """The seller gets 80 % [CAP]."""
        return self.price * 0.8


@dataclass(slots=True)
class Gig:
    """A кворк: a service the seller offers for sale."""

    id: int
    account_id: int
    title: str
    description: str
    instruction: str
    category_id: int
    price: int
    days: int
    added: float
    modified: float
    group: int = GIG_ACTIVE
    service_size: str = ""
    views: int = 0
    orders: int = 0
    queue: int = 0
    rating: int = 0
    pause_reason: str = ""
    photo: str = ""
    volume: str = ""
    is_quick: bool = False
    attributes: dict[str, list[str]] = field(default_factory=dict)  # name in the form -> chosen values
    faq: list[dict[str, str]] = field(default_factory=list)  # question, answer

    @property
    def fee(self) -> int:
        """Kwork's 20 % (`ctp`) [CAP]."""
        return self.price // 5


@dataclass(slots=True)
class Message:
    id: int
    from_id: int
    to_id: int
    text: str
    at: float
    unread: bool = False
    type: str = "text"
    status: str = "active"
    files: list[StoredFile] = field(default_factory=list)
    quote_id: int | None = None
    order_id: int | None = None
    project_id: int | None = None
    message_key: str = ""
    updated_at: float | None = None
    budget: int | None = None  # of a custom request
    duration: int | None = None  # of a custom request, days


@dataclass(slots=True)
class Dialog:
    """One account's conversation with one user; messages oldest first."""

    id: int
    account_id: int
    user_id: int
    messages: list[Message] = field(default_factory=list)
    archived: bool = False
    starred: bool = False
    blocked: bool = False
    allowed: bool = True
    draft: str = ""

    def unread_count(self) -> int:
        return sum(m.unread and m.to_id == self.account_id for m in self.messages)
