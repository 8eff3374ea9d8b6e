"""Composition of the use cases: settings, database and what else runs → services and the work of the jobs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from app.compose_access import compose_access
from app.core.crypto import SecretBox
from app.core.database import Database
from app.core.file_folder import FileFolder
from app.core.limits import RateLimits
from app.core.load_settings import SettingsError, refusal
from app.core.redis import RedisConnection
from app.core.secrets import ServiceSecrets
from app.core.servers import Servers
from app.core.settings import Settings
from app.core.shutdown import Shutdown
from app.crm.registry import CRM_KINDS
from app.marketplaces.kwork.browser import KworkBrowser
from app.outside.addresses import AddressGuard
from app.services.backfill_connection import BackfillConnection
from app.services.connect_account import ConnectAccount
from app.services.container import Probe, Services
from app.services.crm_connections import CrmConnectors
from app.services.crm_paces import CrmPaces
from app.services.files import Files, FileUses
from app.services.follow_crm import FollowCrm
from app.services.keep_tokens import TokensInDatabase
from app.services.kwork_client import KworkClients
from app.services.manage_connections import ManageConnections
from app.services.manage_mapping import ManageMapping
from app.services.manage_searches import ManageSearches
from app.services.match_searches import MatchSearches
from app.services.note_events import NoteEvents
from app.services.pace_of_reading import Pace
from app.services.preview_delivery import PreviewDelivery
from app.services.push_deliveries import PushDeliveries
from app.services.push_leads import PushChosenLeads
from app.services.read_account import ReadFresh
from app.services.read_attachments import ReadAttachments
from app.services.read_categories import Categories
from app.services.read_crm_stages import ReadCrmStages
from app.services.read_exchange import ReadExchange
from app.services.read_figures import ReadFigures
from app.services.read_news import ReadNews
from app.services.read_order_pages import ReadOrderPages
from app.services.read_shared import ReadShared
from app.services.read_streams import ReadStreams
from app.services.receive_files import ReceiveFiles, UploadLimits
from app.services.refresh_categories import RefreshCategories
from app.services.schedule_readings import ScheduleReadings
from app.services.sweep_files import SweepFiles
from app.services.sync import Sync
from app.services.sync_history import SyncHistory
from app.services.take_crm_events import TakeCrmEvents
from app.services.tenant_connectors import TenantConnectors
from app.services.work_on_failures import WorkOnFailures
from app.services.write_table import writes_service
from app.tasks.event_work import EventParts, event_parts
from app.tasks.jobs import Work

_WITHOUT_REDIS = (
    "Redis не отвечает: сервис работает без него, лимиты считает каждый процесс сам. "
    "Запустите Redis или исправьте REDIS_URL в .env (пустой REDIS_URL — встроенный Valkey)."
)
_WITHOUT_CHROMIUM = (
    "Chromium не найден: входить в Kwork браузером сервис не сможет, остальное работает. "
    "Выполните scripts/setup или укажите путь к Chromium в CHROMIUM_PATH."
)
_DISK_RESERVE_BYTES = 256 * 1024 * 1024
"""Uploads leave that much of the disk to the embedded database and the logs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process is made of."""

    services: Services
    files: FileUseCases
    events: EventParts
    categories: RefreshCategories
    work: Work
    """What jobs carry out."""


def _tenant_connectors(
    settings: Settings, database: Database, box: SecretBox, paces: CrmPaces
) -> TenantConnectors:
    guard = AddressGuard(
        allow_private=settings.crm_allow_private,
        allowed=settings.crm_allowed_hosts,
        setting="CRM_ALLOWED_HOSTS",
    )
    return TenantConnectors(box, guard, partial(TokensInDatabase, database, box), paces)


def check_crm(settings: Settings) -> None:
    """Refuses at start what would fail at the first lead."""
    try:
        CrmConnectors(settings).check_settings()
    except KeyError:
        raise SettingsError(
            f"CRM_KIND: такого вида CRM нет, бывает {', '.join(sorted(CRM_KINDS))}; как указать — в env.template."
        ) from None
    except ValidationError as error:
        raise SettingsError(refusal(error, _crm_setting)) from None


def _crm_setting(field: str) -> str:
    names = {"base_url": "CRM_API_URL", "api_key": "CRM_API_KEY", "webhook_url": "CRM_API_KEY"}
    return names.get(field, f"CRM_SETTINGS, поле {field}")


@dataclass(frozen=True, slots=True)
class FileUseCases:
    """Uploads: taking them in, handing them out, taking them away."""

    files: Files
    receive: ReceiveFiles
    sweep: SweepFiles

    @classmethod
    def of(cls, settings: Settings, database: Database, uses: FileUses | None = None) -> FileUseCases:
        """``uses`` knows which files are still needed; without it the files' own rows do."""
        folder = FileFolder(settings.data_dir / "files", reserve_bytes=_DISK_RESERVE_BYTES)
        limits = UploadLimits(
            quota_bytes=round(settings.files_quota_mb * 2**20),
            seconds=settings.file_upload_seconds,
            keep_seconds=settings.files_keep_days * 86_400,
        )
        # Nothing younger is taken for the remains of a process that died.
        grace = max(3600.0, 2 * settings.file_upload_seconds)
        return cls(
            Files(database, folder, keep_seconds=limits.keep_seconds, uses=uses),
            ReceiveFiles(database, folder, limits),
            SweepFiles(database, folder, grace_seconds=grace, uses=uses),
        )


def compose(
    settings: Settings,
    *,
    secrets: ServiceSecrets,
    database: Database,
    servers: Servers,
    redis: RedisConnection,
    browser: KworkBrowser,
    shutdown: Shutdown,
) -> Parts:
    """Everything that the process of the API or a worker may need; nothing runs yet."""
    paces = CrmPaces(redis)
    own = _tenant_connectors(settings, database, secrets.box, paces)
    connectors = CrmConnectors(settings, own, paces)
    files = FileUseCases.of(settings, database)
    events = event_parts(database, secrets.box, settings)
    limits = RateLimits(redis if servers.redis_url else None)
    access = compose_access(settings, secrets.secret_key, database, limits)
    clients = KworkClients(settings, browser, redis)
    accounts = ConnectAccount(database, secrets.box, clients, browser, settings)
    deliveries = PushDeliveries(
        database,
        connectors.connect,
        kind=connectors.kind,
        concurrency=settings.crm_concurrency,
        search_lag_seconds=settings.crm_search_lag_seconds,
    )
    exchange = ReadExchange(database, clients.signed_out)
    categories = RefreshCategories(database, clients.signed_out)
    tree, matching = Categories(database), MatchSearches(database, connectors)
    sync = Sync(
        database,
        accounts,
        exchange,
        deliveries,
        connectors,
        categories=categories,
        order_pages=ReadOrderPages(database, orders_per_run=settings.kwork_order_pages_per_run),
        bell=events.bell,
        searches=matching,
        shutdown=shutdown,
    )
    writes = writes_service(
        database,
        accounts,
        files.files,
        absent_after_seconds=settings.kwork_absent_after_seconds,
        hold_seconds=settings.kwork_write_hold_seconds,
        shutdown=shutdown,
    )
    crm_stages = ReadCrmStages(database, connectors.connect, writes.ask)
    services = Services(
        database=database,
        authenticator=access.authenticator,
        limits=limits,
        login=access.login,
        api_keys=access.api_keys,
        audit=access.audit,
        categories=tree,
        accounts=accounts,
        push_leads=PushChosenLeads(database, connectors, deliveries),
        files=files.files,
        receive_files=files.receive,
        attachments=ReadAttachments(database, accounts, seconds=settings.kwork_download_seconds),
        streams=events.streams,
        webhooks=events.webhooks,
        connections=ManageConnections(database, connectors, own),
        backfill=BackfillConnection(database),
        mappings=ManageMapping(database, connectors.connect),
        previews=PreviewDelivery(database, connectors.connect),
        crm_events=TakeCrmEvents(database, limits, per_minute=settings.crm_events_per_minute),
        writes=writes,
        read_account=ReadFresh(database, accounts),
        searches=ManageSearches(database, tree, matching, most=settings.searches_per_tenant),
        sync=sync,
        sync_history=SyncHistory(database, connectors),
        failures=WorkOnFailures(database),
        probes=(
            Probe("database", critical=True, check=database.is_alive),
            Probe("redis", critical=False, check=redis.is_alive, advice=_WITHOUT_REDIS),
            Probe("chromium", critical=False, check=browser.is_available, advice=_WITHOUT_CHROMIUM),
        ),
        shutdown=shutdown,
        figures=ReadFigures(database, tenants=settings.metrics_tenants),
    )
    return Parts(
        services,
        files,
        events,
        categories,
        _work(
            settings,
            connectors,
            database=database,
            accounts=accounts,
            sync=sync,
            deliveries=deliveries,
            exchange=exchange,
            categories=categories,
            matching=matching,
            crm_stages=crm_stages,
        ),
    )


def _work(
    settings: Settings,
    connectors: CrmConnectors,
    *,
    database: Database,
    accounts: ConnectAccount,
    sync: Sync,
    deliveries: PushDeliveries,
    exchange: ReadExchange,
    categories: RefreshCategories,
    matching: MatchSearches,
    crm_stages: ReadCrmStages,
) -> Work:
    pace = Pace.of(settings)
    return Work(
        database,
        ReadStreams(database, ReadNews(database, accounts), sync, connectors, pace),
        ReadShared(database, exchange, categories, pace, after_reading=matching.after_reading),
        sync,
        deliveries,
        FollowCrm(database, crm_stages, NoteEvents(database), pace),
        ScheduleReadings(
            database,
            sync,
            pace,
            per_tenant=settings.jobs_per_tenant,
            dead_seconds=settings.worker_dead_seconds,
        ),
    )
