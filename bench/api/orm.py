"""The list of orders through SQLAlchemy's ORM and Pydantic models, for comparison; nobody's code but the bench's."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import and_, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.database import SCHEMA, DatabaseAddress
from app.core.settings import Settings
from app.models.schemas import Listed, OrderRow


class Base(DeclarativeBase):
    """Of the mapped tables."""


class Project(Base):
    """``market_projects``."""

    __tablename__ = "market_projects"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    category_id: Mapped[int | None]
    price_kopecks: Mapped[int]
    max_price_kopecks: Mapped[int]
    currency: Mapped[str]
    buyer_id: Mapped[int | None]
    buyer_username: Mapped[str]
    offers: Mapped[int | None]
    created_at: Mapped[datetime | None]
    active_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    url: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    missing_since: Mapped[datetime | None]


class Order(Base):
    """``orders``."""

    __tablename__ = "orders"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    title: Mapped[str]
    status: Mapped[str]
    price_kopecks: Mapped[int | None]
    currency: Mapped[str]
    buyer_id: Mapped[int | None]
    buyer_username: Mapped[str]
    url: Mapped[str]
    created_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    gone_at: Mapped[datetime | None]


class Connection(Base):
    """``crm_connections``."""

    __tablename__ = "crm_connections"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    mode: Mapped[str]
    created_at: Mapped[datetime]


class Link(Base):
    """``crm_links``."""

    __tablename__ = "crm_links"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    crm_id: Mapped[str]


class Delivery(Base):
    """``deliveries``."""

    __tablename__ = "deliveries"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID]
    entity: Mapped[str]
    external_id: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]


def add_route(app: FastAPI, address: DatabaseAddress, settings: Settings) -> AsyncEngine:
    """``/orm/orders/{tenant}``. The engine is the caller's to dispose of."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=settings.postgres_pool_size,
        connect_args={
            **address.arguments(),
            "server_settings": {"search_path": SCHEMA, "role": settings.postgres_app_role, "jit": "off"},
        },
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @app.get("/orm/orders/{tenant}", response_model=Listed[OrderRow])
    async def orders(tenant: str, limit: int = 50) -> dict[str, Any]:
        async with sessions() as session, session.begin():
            await session.execute(
                text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": tenant}
            )
            total = (await session.scalar(select(func.count()).select_from(Project)) or 0) + (
                await session.scalar(select(func.count()).select_from(Order).where(Order.tenant_id == tenant))
                or 0
            )
            projects = await session.scalars(
                select(Project)
                .order_by(Project.active_at.desc().nulls_last(), Project.id.desc())
                .limit(limit)
            )
            sold = await session.scalars(
                select(Order)
                .where(Order.tenant_id == tenant)
                .order_by(Order.created_at.desc().nulls_last(), Order.id.desc())
                .limit(limit)
            )
            rows: list[Project | Order] = [*projects, *sold]
            rows.sort(
                key=lambda row: row.active_at if isinstance(row, Project) else row.created_at, reverse=True
            )  # type: ignore[arg-type,return-value]
            rows = rows[:limit]
            first = await session.scalar(
                select(Connection)
                .where(Connection.tenant_id == tenant, Connection.mode != "preview")
                .order_by(Connection.created_at)
                .limit(1)
            )
            keys = [_key(row) for row in rows]
            mine = and_(
                Link.tenant_id == tenant,
                Link.connection_id == first.id if first else False,
                Link.entity == "lead",
            )
            links = {
                link.external_id: link
                for link in await session.scalars(select(Link).where(mine, Link.external_id.in_(keys)))
            }
            deliveries = {
                one.external_id: one
                for one in await session.scalars(
                    select(Delivery).where(
                        Delivery.tenant_id == tenant,
                        Delivery.connection_id == first.id if first else False,
                        Delivery.entity == "lead",
                        Delivery.state.not_in(("done", "discarded")),
                        Delivery.external_id.in_(keys),
                    )
                )
            }
        items = [_row(row, links.get(_key(row)), deliveries.get(_key(row))) for row in rows]
        return {"items": items, "page": 1, "limit": limit, "total": total, "next_cursor": None}

    return engine


def _key(row: Project | Order) -> str:
    return f"kwork:{'project' if isinstance(row, Project) else 'order'}:{row.id}"


def _row(row: Project | Order, link: Link | None, delivery: Delivery | None) -> OrderRow:
    is_project = isinstance(row, Project)
    lead = None
    if link or delivery:
        lead = {
            "id": link.crm_id if link else None,
            "state": delivery.state if delivery else "synced",
            "reason": delivery.reason if delivery else None,
        }
    return OrderRow.model_validate(
        {
            "id": f"{'project' if is_project else 'order'}-{row.id}",
            "kind": "project" if is_project else "order",
            "kwork_id": row.id,
            "account_id": None if is_project else row.account_id,
            "title": row.title,
            "description": row.description if is_project else None,
            "status": row.status,
            "price": row.price_kopecks / 100 if row.price_kopecks is not None else None,
            "max_price": row.max_price_kopecks / 100 if is_project else None,
            "currency": row.currency,
            "buyer": {"id": row.buyer_id, "username": row.buyer_username, "url": None},
            "category": {"id": row.category_id, "name": None, "slug": None}
            if is_project and row.category_id
            else None,
            "url": row.url,
            "created_at": row.created_at,
            "active_at": row.active_at if is_project else None,
            "expires_at": row.expires_at if is_project else None,
            "deadline_at": None if is_project else row.deadline_at,
            "offers": row.offers if is_project else None,
            "listed": row.missing_since is None if is_project else None,
            "lead": lead,
        }
    )
