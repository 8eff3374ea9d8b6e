"""Makes a world from a seed. The same size gives the same world, but for times, which count from now."""

from random import Random

from sandbox.world import texts
from sandbox.world.clock import DAY, HOUR, MINUTE, Clock
from sandbox.world.generate_deals import make_deals
from sandbox.world.model import CHEAP_BELOW, Account, Badge, Project, User
from sandbox.world.texts import as_stored
from sandbox.world.world import Size, World, empty_world

NEWEST_PROJECT_ID = 3_240_184
IDS_A_DAY = 614  # [computed]
RESTORED_EVERY = 20  # one project in twenty is an old one brought back
QUIET_HOURS = 2  # nothing expires by itself in a fresh world before this
PRICES = (500, 800, 1000, 1500, 2000, 3000, 4500, 4999, 5000, 7000, 10000, 15000, 30000, 45000, 100000)
OFFERS = (0, 0, 1, 2, 3, 4, 5, 5, 7, 9, 10, 12, 15, 18, 20, 27, 64)
HIRED_BADGE = Badge(21, "Активный покупатель", "Сделал больше 10 заказов", payer_level=2)
SUPER_BADGE = Badge(22, "Суперпокупатель", "Сделал больше 50 заказов", payer_level=3)


def make_world(size: Size, clock: Clock) -> World:
    world = empty_world(size, clock)
    _make_accounts(world)
    buyers = _make_buyers(world, max(8, size.projects // 3 + size.orders // 4))
    _make_projects(world, buyers)
    make_deals(world, buyers)
    world.changed()
    return world


def _make_accounts(world: World) -> None:
    now, random = world.clock.now(), world.random
    for number in range(world.size.accounts):
        user_id = 16_000_101 + number * 1013
        name = f"{random.choice(texts.FIRST_NAMES)} {random.choice(texts.LAST_NAMES)}"
        account = Account(
            user_id,
            f"seller_{number + 1}_{random.choice(texts.NAME_ROOTS)}",
            name,
            about=as_stored('Делаю "под ключ": сайты, боты & парсеры.\nПишите в любое время.'),
            location="Россия",
            profession=texts.PROFESSIONS[number % 5],
            slogan="Быстро и аккуратно",
            skills=random.sample(texts.SKILLS, 4),
            registered_at=now - 900 * DAY,
            live_at=now,
            is_online=True,
            rating=4.9,
            reviews_good=87,
            reviews_bad=1,
            login=f"seller{number + 1}@sandbox.test",
            email=f"seller{number + 1}@sandbox.test",
            password=f"kwork-{world.size.seed}-{number + 1}-{random.randrange(10**6):06d}",
            phone=f"+7900{random.randrange(10**7):07d}",
            connects_refill_at=now + 12 * DAY,
            free_amount=12480.0,
            hold_amount=3200.0,
        )
        account.favourite_categories = [41, 37]
        world.add_user(account)


def _make_buyers(world: World, count: int) -> list[User]:
    now, random, buyers = world.clock.now(), world.random, []
    for number in range(count):
        wants = random.choice((1, 1, 2, 3, 8, 21, 98, 240))
        user = User(
            world.next_id("user"),
            f"{random.choice(texts.NAME_ROOTS)}{number}",
            f"{random.choice(texts.FIRST_NAMES)} {random.choice(texts.LAST_NAMES)}" if number % 5 else "",
            location=random.choice(texts.CITIES),
            registered_at=now - random.randrange(20, 2000) * DAY,
            live_at=now - random.randrange(5 * DAY),
            is_online=number % 4 == 0,
            wants_count=wants,
            hired_percent=0 if wants == 1 else random.randrange(101),
        )
        if wants > 20:
            user.badges = [SUPER_BADGE if wants > 100 else HIRED_BADGE]
        world.add_user(user)
        buyers.append(user)
    return buyers


def _make_projects(world: World, buyers: list[User]) -> None:
    random, now = world.random, world.clock.now()
    drafts = []
    for _ in range(world.size.projects):
        price = random.choice(PRICES)
        life = DAY if price < CHEAP_BELOW else 2 * DAY
        drafts.append((random.uniform(MINUTE, life - (QUIET_HOURS + 1) * HOUR), price))
    drafts.sort()
    project_id = NEWEST_PROJECT_ID
    for number, (age, price) in enumerate(drafts):
        restored = number % RESTORED_EVERY == RESTORED_EVERY // 2
        if restored:
            this_id = NEWEST_PROJECT_ID - 20_001 - number * 97
        else:
            project_id -= random.randrange(1, 4)
            this_id = project_id
        born = now - (NEWEST_PROJECT_ID - this_id) / IDS_A_DAY * DAY if restored else now - age - MINUTE
        _add_project(world, this_id, random.choice(buyers), number, price, (born, now - age))
    _add_unlisted(world, buyers, project_id)


def _add_project(  # noqa: PLR0917
    world: World, project_id: int, buyer: User, number: int, price: int, dates: tuple[float, float]
) -> Project:
    random = world.random
    root = random.choice(world.categories)
    category = random.choice(root.children)
    project = Project(
        project_id,
        buyer.user_id,
        as_stored(_title(random, root.id, number)),
        as_stored(_body(random, number)),
        category.id,
        price,
        int(dates[0]),
        int(dates[1]),
        is_higher_price=random.random() < 0.4,
        max_days=random.choice((1, 3, 5, 7, 10, 14, 30)),
        kwork_count=random.choice(OFFERS),
        views=random.randrange(3, 900),
        hint="В работе" if number % 17 == 5 else "Сбор предложений",
        need_portfolio=number % 12 == 3,
        need_gig=number % 15 == 4,
        is_neural=number % 25 == 7,
    )
    project.attribute_ids = [a.id for a in category.attributes if random.random() < 0.3]
    if number % 6 == 1:
        project.files = [world.new_file("Техническое задание.docx", buyer.user_id, size=18_432)]
    world.projects[project_id] = project
    return project


def _title(random: Random, root_id: int, number: int) -> str:
    verbs, things = texts.TITLES[root_id]
    title = f"{random.choice(verbs)} {random.choice(things)}{random.choice(texts.TITLE_TAILS)}"
    return f'{title}: проект "Альфа" & Ко' if number % 14 == 6 else title


def _body(random: Random, number: int) -> str:
    if number % 50 == 25:
        return texts.BRACE_TRAPS[number // 50 % 2]
    if number % 7 == 2:
        return texts.TRAPS[(number // 7) % len(texts.TRAPS)]
    if number % 40 == 9:
        return texts.LONG_BODY
    if number % 50 == 8:
        return texts.EMPTY
    return "\n".join(random.sample(texts.BODIES, random.randrange(1, 4)))


def _add_unlisted(world: World, buyers: list[User], below: int) -> None:
    """Projects that are no longer on the list: archived, stopped, expired."""
    now = world.clock.now()
    states = ("archived", "user_stop", "cancel", "active", "stop")
    for number in range(min(20, world.size.projects)):
        active_at = now - (3 + number) * DAY
        project = _add_project(
            world,
            below - 5 - number * 211,
            buyers[number % len(buyers)],
            number,
            world.random.choice(PRICES),
            (active_at, active_at),
        )
        project.status = states[number % len(states)]
