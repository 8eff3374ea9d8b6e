"""What people do in the world: new projects, orders, gigs, offers, messages. Texts arrive as typed."""

from dataclasses import dataclass, field

from sandbox.world.clock import DAY
from sandbox.world.model import (
    GIG_ACTIVE,
    GIG_PAUSED,
    PAYMENT_DUE,
    Account,
    Dialog,
    Gig,
    Message,
    Offer,
    Order,
    Project,
    Stage,
    StoredFile,
    User,
)
from sandbox.world.order_flow import CREATED_TRACK, add_track
from sandbox.world.texts import as_stored
from sandbox.world.world import World


@dataclass(frozen=True, slots=True)
class NewOrder:
    """`duration` in seconds, `price` in roubles for the buyer; `stages` as (title, price) pairs."""

    account_id: int
    payer_id: int
    title: str
    price: int
    duration: int = 3 * DAY
    at: float | None = None
    description: str = ""
    project_id: int | None = None
    gig_id: int | None = None
    category_id: int = 41
    unpaid: bool = False
    stages: list[tuple[str, int]] = field(default_factory=list)


def add_buyer(world: World, username: str = "", fullname: str = "", user_id: int | None = None) -> User:
    number = user_id or world.next_id("user")
    now = world.clock.now()
    user = User(number, username or f"buyer{number}", fullname, registered_at=now - DAY, live_at=now)
    world.add_user(user)
    world.changed()
    return user


def add_project(
    world: World,
    *,
    user_id: int,
    name: str,
    description: str,
    category_id: int,
    price: int,
    is_higher_price: bool = False,
    at: float | None = None,
    **extra: object,
) -> Project:
    when = world.clock.now() if at is None else at
    project = Project(
        world.next_id("project"),
        user_id,
        as_stored(name),
        as_stored(description),
        category_id,
        price,
        date_create=when,
        date_active=when,
        is_higher_price=is_higher_price,
    )
    for key, value in extra.items():
        setattr(project, key, value)
    world.projects[project.id] = project
    world.users[user_id].wants_count += 1
    world.changed()
    return project


def reactivate_project(world: World, project: Project) -> Project:
    """An old project comes back to the top under its old id [CAP]."""
    project.status, project.date_active = "active", world.clock.now()
    world.changed()
    return project


def add_order(world: World, new: NewOrder) -> Order:
    when = world.clock.now() if new.at is None else new.at
    status = PAYMENT_DUE if new.unpaid else 1
    order = Order(
        world.next_id("order"),
        new.account_id,
        new.payer_id,
        as_stored(new.title),
        new.price,
        status,
        when,
        new.duration,
        description=as_stored(new.description),
        project_id=new.project_id,
        gig_id=new.gig_id,
        category_id=new.category_id,
    )
    for number, (title, price) in enumerate(new.stages, 1):
        paid = 1 if number == 1 and not new.unpaid else 0
        order.stages.append(Stage(world.next_id("stage"), number, as_stored(title), price, when, paid))
    world.orders[order.id] = order
    add_track(world, order, CREATED_TRACK, at=when, from_id=new.payer_id, unread=True)
    return order


def dialog_between(world: World, account_id: int, user_id: int) -> Dialog:
    """The account's dialog with the user, opened when there is none."""
    key = (account_id, user_id)
    if key not in world.dialogs:
        world.dialogs[key] = Dialog(world.next_id("dialog"), account_id, user_id)
        world.changed()
    return world.dialogs[key]


def add_message(
    world: World,
    from_id: int,
    to_id: int,
    text: str,
    *,
    at: float | None = None,
    files: list[StoredFile] | None = None,
    **extra: object,
) -> Message:
    """One message; it stands in the dialog of each side that is an account (the two share the object).

    Raises KeyError when neither side is an account."""
    when = world.clock.now() if at is None else at
    message = Message(world.next_id("message"), from_id, to_id, as_stored(text), when, unread=True)
    message.files = list(files or ())
    for key, value in extra.items():
        setattr(message, key, value)
    sides = [(a, b) for a, b in ((from_id, to_id), (to_id, from_id)) if a in world.accounts]
    if not sides:
        raise KeyError("neither side of the message is an account")
    for account_id, user_id in sides:
        dialog_between(world, account_id, user_id).messages.append(message)
    world.changed()
    if world.on_message:
        world.on_message(message)
    return message


def mark_read(world: World, account_id: int, user_id: int) -> int:
    """Marks what the user wrote to the account as read; answers how many messages that were."""
    dialog = world.dialogs.get((account_id, user_id))
    unread = [m for m in dialog.messages if m.unread and m.to_id == account_id] if dialog else []
    for message in unread:
        message.unread = False
    if unread:
        world.changed()
    return len(unread)


def add_gig(
    world: World,
    account_id: int,
    *,
    title: str,
    description: str,
    category_id: int,
    price: int,
    days: int,
    instruction: str = "",
    group: int = GIG_ACTIVE,
    at: float | None = None,
) -> Gig:
    when = world.clock.now() if at is None else at
    number = world.next_id("gig")
    gig = Gig(
        number,
        account_id,
        as_stored(title),
        as_stored(description),
        as_stored(instruction),
        category_id,
        price,
        days,
        added=when,
        modified=when,
        group=group,
    )
    gig.photo = f"/pics/t3/{number % 100:02d}/{number}-cover.jpg"
    gig.service_size, gig.volume = "1 задача", "1 готовое решение"
    gig.is_quick = number % 2 == 0
    gig.attributes = {"attribute[208]": ["3587"], "attribute[3610][]": ["3612", "5273361"]}
    gig.faq = [
        {"question": as_stored('Что значит "под ключ"?'), "answer": as_stored("Работает у вас & проверено.")},
        {"question": "Сколько правок?", "answer": "Две, дальше &lt; 500 ₽ каждая."},
    ]
    world.gigs[gig.id] = gig
    world.changed()
    return gig


def set_gig_running(world: World, gig: Gig, running: bool) -> bool:
    """Starts or pauses a gig; False when it is in a group that allows neither."""
    if gig.group not in (GIG_ACTIVE, GIG_PAUSED):
        return False
    gig.group, gig.pause_reason = (GIG_ACTIVE, "") if running else (GIG_PAUSED, "user")
    gig.modified = world.clock.now()
    world.changed()
    return True


def add_offer(
    world: World,
    account: Account,
    project: Project,
    *,
    title: str,
    description: str,
    price: int,
    duration: int,
) -> Offer:
    """Stores the offer and spends one connect [CODE]; the caller has checked the limits."""
    offer = Offer(
        world.next_id("offer"),
        account.user_id,
        project.id,
        as_stored(title),
        as_stored(description),
        price,
        duration,
        world.clock.now(),
    )
    world.offers[offer.id] = offer
    account.connects_active -= 1
    project.kwork_count += 1
    world.changed()
    return offer


def delete_offer(world: World, offer: Offer) -> None:
    offer.status = "cancel"
    world.projects[offer.project_id].kwork_count -= 1
    world.changed()
