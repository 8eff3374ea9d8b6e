"""Orders with their threads, gigs, dialogs and offers of the generated accounts."""

from random import Random

from sandbox.world import texts
from sandbox.world.changes import NewOrder, add_gig, add_message, add_offer, add_order, dialog_between
from sandbox.world.clock import DAY, HOUR, MINUTE
from sandbox.world.model import (
    GIG_ACTIVE,
    GIG_DRAFT,
    GIG_MODERATION,
    GIG_NEEDS_FIXES,
    GIG_PAUSED,
    GIG_REJECTED,
    Account,
    Order,
    User,
)
from sandbox.world.order_flow import add_track, advance
from sandbox.world.world import World

# Name, events after creation, days since creation. Every status and the common side ways are there.
LIVES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("fresh", (), 0.2),
    ("working", ("provide_data", "take", "report"), 2),
    ("done", ("provide_data", "take", "report", "hand_in", "accept"), 30),
    ("on check", ("provide_data", "take", "report", "hand_in"), 1.5),
    ("cancelled by buyer", ("take", "cancel_by_buyer"), 12),
    ("arbitration", ("provide_data", "take", "hand_in", "rework", "arbitration"), 9),
    ("unpaid", ("provide_data", "take", "stage_awaits_payment"), 4),
    ("done by itself", ("take", "hand_in", "auto_accept", "bonus"), 45),
    ("returned", ("provide_data", "take", "hand_in", "rework"), 2.5),
    ("cancel asked", ("take", "propose_cancel"), 1.2),
    ("never taken", ("auto_cancel",), 60),
    ("staged", ("provide_data", "take", "report"), 3),
    ("done", ("provide_data", "take", "hand_in", "rework", "hand_in", "accept"), 80),
    ("cancelled by seller", ("provide_data", "take", "cancel_by_seller"), 20),
    ("overdue", ("take", "overdue"), 18),
    ("staged on check", ("provide_data", "take", "hand_in"), 2.2),
)
GIG_GROUPS = (
    GIG_ACTIVE,
    GIG_ACTIVE,
    GIG_PAUSED,
    GIG_ACTIVE,
    GIG_MODERATION,
    GIG_ACTIVE,
    GIG_NEEDS_FIXES,
    GIG_DRAFT,
)


def make_deals(world: World, buyers: list[User]) -> None:
    for number, account in enumerate(world.accounts.values()):
        share = world.size.orders if number == 0 else -(-world.size.orders // 6)
        dialogs = world.size.dialogs if number == 0 else -(-world.size.dialogs // 4)
        _make_gigs(world, account, world.size.gigs if number == 0 else min(3, world.size.gigs))
        first = number * 3 % len(buyers)  # more accounts than buyers: they share them
        partners = buyers[first::2][: max(3, share // 3)]
        for index in range(share):
            _make_order(world, account, partners[index % len(partners)], index)
        _make_dialogs(world, account, [*partners, *buyers[number::3]][:dialogs])
        if world.size.projects:
            _make_offers(world, account)


def _make_gigs(world: World, account: Account, count: int) -> None:
    now = world.clock.now()
    for number in range(count):
        gig = add_gig(
            world,
            account.user_id,
            title=texts.GIG_TITLES[number % len(texts.GIG_TITLES)],
            description=texts.GIG_BODY,
            instruction=texts.GIG_INSTRUCTION,
            category_id=(41, 37, 38, 255)[number % 4],
            price=(500, 1500, 3000, 10000)[number % 4],
            days=(1, 3, 7, 30)[number % 4],
            group=GIG_GROUPS[number % len(GIG_GROUPS)] if number != 10 else GIG_REJECTED,
            at=now - (400 - number) * DAY,
        )
        gig.views, gig.orders, gig.rating = 40 + number * 31, number * 3, 90 + number % 10
        gig.pause_reason = "user" if gig.group == GIG_PAUSED else ""


def _make_order(world: World, account: Account, buyer: User, number: int) -> Order:
    random, now = world.random, world.clock.now()
    kind, events, days = LIVES[number % len(LIVES)]
    age = days * DAY + (number // len(LIVES)) * (9 * DAY if days > 5 else 23 * MINUTE)
    born = now - min(age, 22 * HOUR if kind == "fresh" else age)
    stages = (
        [("Прототип", 3000), ('Основа "v1"', 7000), ("Запуск", 5000)] if kind.startswith("staged") else []
    )
    gigs = [g.id for g in world.gigs.values() if g.account_id == account.user_id]
    order = add_order(
        world,
        NewOrder(
            account.user_id,
            buyer.user_id,
            texts.TRAPS[number % len(texts.TRAPS)][:70] if number % 9 == 4 else _order_title(random),
            sum(price for _, price in stages) or random.choice((500, 1500, 3000, 4500, 12000, 60000)),
            duration=random.choice((1, 3, 7, 14)) * DAY if kind != "overdue" else 3 * DAY,
            at=born,
            description="\n".join(random.sample(texts.BODIES, 2)),
            gig_id=random.choice(gigs) if gigs and number % 3 else None,
            stages=stages,
        ),
    )
    order.payment_type = 2 if number % 11 == 6 else 0
    order.note = "Постоянный покупатель" if number % 8 == 1 else ""
    if number % 4 == 1:
        order.files = [world.new_file("Задание.pdf", buyer.user_id, size=24_576)]
    _live(world, order, events, now)
    return order


def _live(world: World, order: Order, events: tuple[str, ...], now: float) -> None:
    """Spreads the events between creation and the recent past, with some talk in between."""
    step = min((now - order.created) / (len(events) + 2), 20 * HOUR)
    at = order.created
    for event in events:
        at += step
        waits = {"auto_cancel": DAY, "auto_accept": 3 * DAY, "overdue": 15 * DAY}.get(event)
        at = at if waits is None else at - step + waits
        text = {"report": world.random.choice(texts.REPORTS), "rework": texts.MESSAGES[8]}.get(event, "")
        advance(world, order, event, at=at, text=text, progress=50 if event == "report" else None)
        if event == "provide_data":
            order.provided_data = texts.PROVIDED
        if event == "take":
            add_track(world, order, 0, at=at + MINUTE, from_id=order.payer_id, text=texts.MESSAGES[5])
    for track in order.tracks[:-1]:
        track.unread = False


def _order_title(random: Random) -> str:
    verbs, things = texts.TITLES[random.choice((11, 15, 5))]
    return f"{random.choice(verbs)} {random.choice(things)}"


def _make_dialogs(world: World, account: Account, partners: list[User]) -> None:
    random, now = world.random, world.clock.now()
    for number, partner in enumerate(dict.fromkeys(p.user_id for p in partners)):
        count = 75 if number == 0 else random.choice((1, 2, 4, 7, 12))
        at = now - (number + 1) * 7 * HOUR - count * 20 * MINUTE
        for index in range(count):
            at += 20 * MINUTE
            sides = (partner, account.user_id) if index % 2 == 0 else (account.user_id, partner)
            message = add_message(world, *sides, _message(number, index), at=at)
            message.unread = index == count - 1 and number % 3 == 0 and message.to_id == account.user_id
            if index % 10 == 2:
                message.files = [world.new_file("снимок экрана.png", partner, size=2048)]
            if index % 12 == 3:
                message.quote_id = message.id - 1
        dialog = dialog_between(world, account.user_id, partner)
        dialog.starred, dialog.archived = number % 7 == 2, number % 10 == 6
        dialog.allowed = number % 11 != 5


def _message(dialog: int, index: int) -> str:
    if index % 13 == 11:
        return texts.TRAPS[dialog % len(texts.TRAPS)]
    return texts.MESSAGES[index % len(texts.MESSAGES)]


def _make_offers(world: World, account: Account) -> None:
    """Three offers already made, on projects that expire last."""
    newest = sorted(world.projects.values(), key=lambda p: -p.date_active)[5 : 5 + 3]
    for number, project in enumerate(newest):
        offer = add_offer(
            world,
            account,
            project,
            title="Сделаю по вашему заданию",
            description='Здравствуйте! Прочитал задание, готов начать "сегодня". '
            + "Есть похожие работы. " * 8,
            price=project.price_limit,
            duration=project.max_days,
        )
        offer.created = min(world.clock.now(), project.date_active + 10 * MINUTE)
        offer.is_read = number == 0
