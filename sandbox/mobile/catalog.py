"""The rubricator on the mobile surface. All of it is open to the app's key alone, except the favourites."""

from __future__ import annotations

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found
from sandbox.world.model import Attribute, Category


def category_of(call: Call, category_id: int) -> Category | None:
    return next((item for item in every_category(call) if item.id == category_id), None)


def every_category(call: Call) -> list[Category]:
    return [item for root in call.world.categories for item in (root, *root.children)]


def categories(call: Call) -> Answer:
    return found([_branch(root) for root in call.world.categories])


def _branch(category: Category) -> Answer:
    """Two levels: 7 rubrics and 61 nodes in all came live, though the spec has a third level."""
    branch = {"id": category.id, "name": category.title, "description": ""}
    if category.children:
        branch["subcategories"] = [_branch(item) for item in category.children]
    return branch


def category(call: Call) -> Answer:
    """Takes only `category_id`; `categoryId` is silently ignored and gives the whole site [LIVE]."""
    wanted = call.parameters.integer("category_id")
    if wanted is None:
        return found({"id": 0, "name": "", "mobile_description": "", "attributes": []})
    item = category_of(call, wanted)
    if item is None:
        raise bad_values()
    return found(
        {
            "id": item.id,
            "name": item.title,
            "mobile_description": "",
            "base_volume": 0,
            "attributes": [_attribute(item, one, order) for order, one in enumerate(item.attributes)],
        }
    )


def category_attributes(call: Call) -> Answer:
    """Empty for a rubric, filled for some subrubrics [LIVE]."""
    item = category_of(call, call.parameters.needed_integer("category_id"))
    if item is None:
        raise bad_values()
    return found([_attribute(item, one, order) for order, one in enumerate(item.attributes)])


def _attribute(category: Category, attribute: Attribute, order: int) -> Answer:
    return {
        "id": attribute.id,
        "title": attribute.title,
        "lang": "ru",
        "category_id": category.id,
        "visible": 1,
        "is_classification": True,
        "required": True,
        "allow_multiple": False,
        "allow_custom": False,
        "order_index": order,
        "is_free_price": True,
        "percent_usage": "0.00",
        "depth": 1,
        "parent_id": 0,
        "kworks_count": 10 + attribute.id % 400,
        "alias": f"attr-{attribute.id}",
        "children": [],
    }


def catalog_rubrics(call: Call) -> Answer:
    return found(
        [
            {
                "id": root.id,
                "name": root.title,
                "rubric_description": "",
                "ico": f"{call.web_url}/images/rubric/{root.slug}.svg",
                "ico_extra": f"{call.web_url}/images/rubric/{root.slug}.png",
                "order": order,
                "category_image": f"{call.web_url}/images/rubric/{root.slug}.jpg",
            }
            for order, root in enumerate(call.world.categories)
        ]
    )


def catalog_categories(call: Call) -> Answer:
    """Takes only `rubricId` [LIVE]."""
    rubric = category_of(call, call.parameters.needed_integer("rubricId"))
    if rubric is None:
        raise bad_values()
    return found(
        [
            {
                "id": item.id,
                "name": item.title,
                "rubric_description": "",
                "order": order,
                "kworks_count": 100 + item.id,
            }
            for order, item in enumerate(rubric.children)
        ]
    )


def favourites(call: Call) -> Answer:
    known = {item.id: item for item in every_category(call)}
    chosen = [known[number] for number in call.me().favourite_categories if number in known]
    rows = [{"id": item.id, "name": item.title, "description": "", "is_attribute": False} for item in chosen]
    return found(rows)


def add_favourites(call: Call) -> Answer:
    account, wanted = call.me(), _named_categories(call)
    account.favourite_categories += [one for one in wanted if one not in account.favourite_categories]
    call.world.changed()
    return done()


def remove_favourites(call: Call) -> Answer:
    account, wanted = call.me(), _named_categories(call)
    account.favourite_categories = [one for one in account.favourite_categories if one not in wanted]
    call.world.changed()
    return done()


def _named_categories(call: Call) -> list[int]:
    call.parameters.needed_text("categories")
    wanted = call.parameters.csv_integers("categories")
    if not set(wanted) <= {item.id for item in every_category(call)}:
        raise bad_values()
    return wanted


METHODS: Methods = {
    "categories": Method(categories, is_open=True),
    "category": Method(category, is_open=True),
    "categoryAttributes": Method(category_attributes, is_open=True),
    "catalogRubrics": Method(catalog_rubrics, is_open=True),
    "catalogCategories": Method(catalog_categories, is_open=True),
    "favoriteCategories": Method(favourites),
    "addFavoriteCategories": Method(add_favourites),
    "delFavoriteCategories": Method(remove_favourites),
}
