"""Settings from the environment and ``.env``. ``env.template`` explains every one of them."""

from __future__ import annotations

import logging
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KWORK_WEB_URL = "https://kwork.ru"
KWORK_NOTICE_URL = "wss://notice.kwork.ru/ws/public"
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,250}[a-z0-9_])?")
_ORIGIN = re.compile(r"https?://[a-z0-9._-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
ROOT = Path(__file__).resolve().parents[2]

Port = Annotated[int, Field(ge=1, le=65535)]
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_POSTGRES = ("postgresql://", "postgres://")
_ALGORITHMS = frozenset({"HS256", "RS256", "ES256", "EdDSA"})
_REDIS = ("redis://", "rediss://", "unix://")


class Settings(BaseSettings):
    """One instance per process, made by ``main.py`` and handed down by ``bootstrap.py``."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    debug: bool = False
    root_path: str = ""
    """Where a gateway shows ``/api/v1``: begins with a slash, ends without one."""
    trusted_proxies: Annotated[list[str], NoDecode] = Field(default_factory=lambda: ["127.0.0.1"])
    """Whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """How long an idle connection stays open: longer than gateways keep theirs, or they meet a closed one."""
    docs_enabled: bool = True
    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024

    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    """For the body of a request to arrive whole; uploads have ``file_upload_seconds``."""

    secret_key: SecretStr | None = None
    credentials_keys: SecretStr | None = None
    jwt_issuer: str = "kwork-service"
    jwt_audience: str | None = None
    jwt_gateway_issuer: str | None = None
    """``iss`` of the gateway's tokens; unset, theirs have none (or ``jwt_issuer`` with the shared secret)."""
    jwt_algorithms: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["HS256", "RS256", "ES256", "EdDSA"]
    )
    """Those with public keys count only where ``jwt_jwks_url`` is set."""
    jwt_jwks_url: str | None = None
    jwt_jwks_seconds: Annotated[float, Field(ge=60, le=86_400)] = 600.0
    """How long the gateway's keys are kept before they are read again."""
    jwt_leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    access_token_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60

    tenant_id_header: str = "X-Tenant-ID"
    default_tenant_id: str = "default"
    allow_default_tenant: bool = False

    data_dir: Path = Path("data")
    files_quota_mb: Annotated[float, Field(gt=0)] = 2048
    """What a tenant's uploads may take together, in MiB."""
    files_keep_days: Annotated[float, Field(gt=0)] = 7
    file_upload_seconds: Annotated[float, Field(gt=0)] = 900.0
    log_dir: Path = Path("logs")
    log_level: str = "INFO"
    log_files: bool = True
    """False: everything goes to stdout only."""
    log_format: Literal["json", "text"] = "json"
    log_file_mb: Annotated[float, Field(gt=0)] = 10.0
    """In MiB; a file is turned over before it grows larger, and every day (UTC)."""
    log_files_kept: Annotated[int, Field(ge=0, le=1000)] = 14
    """Older files of each log."""
    log_lines_per_second: Annotated[int, Field(ge=0)] = 200
    """Of one logger at one level; more are dropped and counted. 0: all are written."""

    metrics_enabled: bool = True
    metrics_token: SecretStr | None = None
    """None: whoever reaches the port may read ``/metrics``."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where a worker shows its own; 0: nowhere. The API shows its on its own port."""
    metrics_tenants: Annotated[int, Field(ge=0, le=1000)] = 0
    """So many tenants, those with most that waits, have figures of their own."""

    tracing_url: str | None = None
    """Where spans go: OTLP over HTTP, as ``http://collector:4318/v1/traces``. None: tracing is off."""
    tracing_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    tracing_to_crm: bool = False
    """Whether CRMs are told the trace (header ``traceparent``)."""

    database_url: SecretStr | None = None
    postgres_host: str | None = None
    postgres_port: Port = 5432
    postgres_user: str = "kwork"
    postgres_password: SecretStr | None = None
    postgres_db: str = "kwork"
    postgres_app_role: str = "kwork_service"
    postgres_bin_dir: Path | None = None
    postgres_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    redis_url: SecretStr | None = None

    crm_kind: str = "native"
    crm_api_url: str | None = None
    crm_api_key: SecretStr | None = None
    crm_settings: dict[str, Any] = Field(default_factory=dict)
    crm_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    crm_events_per_minute: Annotated[int, Field(ge=1)] = 300
    """What one CRM may tell of changes; beyond it the schedule finds them."""
    crm_search_lag_seconds: Annotated[float, Field(ge=0)] = 20.0
    crm_allow_private: bool = False
    """Of the addresses that tenants set; ``crm_api_url`` needs no leave."""
    crm_allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list)
    api_gateway_url: str | None = None
    gateway_introspection: bool = False
    """Whether ``POST {api_gateway_url}/auth/verify`` has to agree to each token of the gateway."""
    introspection_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0

    kwork_web_url: str = KWORK_WEB_URL
    kwork_api_url: str = "https://api.kwork.ru"
    kwork_notice_url: str | None = None
    kwork_live: bool | None = None
    poll_seconds: Annotated[float, Field(ge=0)] = 120.0
    poll_night_factor: Annotated[float, Field(ge=1, le=100)] = 3.0
    """How much slower accounts are read from 1 to 7 o'clock in Moscow."""
    projects_poll_seconds: Annotated[float, Field(ge=0)] = 60.0
    """The exchange, once for everybody. 0, or ``poll_seconds`` 0: only when somebody asks."""

    shutdown_seconds: Annotated[float, Field(ge=5, le=600)] = 25.0
    """How long the process may take to end; requests and jobs have four seconds less."""
    shutdown_notice_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """So long it still takes requests while it already says that it is not ready; part of ``shutdown_seconds``."""

    worker: bool = True
    """Whether the process of the API carries out jobs as well."""
    worker_concurrency: Annotated[int, Field(ge=1, le=500)] = 16
    """Jobs of one queue at a time in one process."""
    worker_stop_seconds: Annotated[float, Field(ge=0, le=600)] = 25.0
    """So long running jobs may go on when the process is told to end."""
    worker_dead_seconds: Annotated[float, Field(ge=2, le=600)] = 20.0
    """A worker that did not tell of itself for so long is dead, and others take its jobs over."""
    jobs_per_tenant: Annotated[int, Field(ge=1)] = 20
    """Readings of a tenant's accounts that wait or run at a time."""
    kwork_mobile_key: SecretStr | None = None
    kwork_test_username: str | None = None
    kwork_test_password: SecretStr | None = None
    kwork_requests_per_second: Annotated[float, Field(ge=0)] = 1.0
    """0 switches the pace off (for benchmarks against the stand-in)."""
    kwork_burst: Annotated[int, Field(ge=1)] = 3
    kwork_order_pages_per_run: Annotated[int, Field(ge=0)] = 60
    """Four calls or so each; what is left goes on in the next run."""
    kwork_deadline_seconds: Annotated[float, Field(gt=0)] = 30.0
    kwork_absent_after_seconds: Annotated[float, Field(ge=0, validate_default=True)] = 60.0
    """What does not show on Kwork so long after it may have left surely never arrived; beyond the deadline."""
    kwork_write_hold_seconds: Annotated[float, Field(ge=1, le=300)] = 60.0
    """A write whose worker died is taken over after so long."""
    kwork_download_seconds: Annotated[float, Field(gt=0)] = 300.0
    """For one attachment as a whole, however slowly it is taken."""
    kwork_sign_in_pause_minutes: Annotated[float, Field(ge=0)] = 10.0
    kwork_sign_ins_per_day: Annotated[int, Field(ge=1)] = 3
    kwork_block_hours: Annotated[float, Field(gt=0)] = 6.0
    """How long an account that Kwork refused sends nothing."""
    kwork_sign_in_seconds: Annotated[float, Field(gt=0)] = 60.0
    chromium_path: Path | None = None
    chromium_idle_seconds: Annotated[float, Field(ge=0)] = 60.0
    """The shared Chromium is closed when nobody used it for so long."""

    events_keep_days: Annotated[float, Field(gt=0)] = 7.0
    event_streams_per_tenant: Annotated[int, Field(ge=1)] = 20
    event_streams_per_process: Annotated[int, Field(ge=1)] = 500

    searches_per_tenant: Annotated[int, Field(ge=0, le=10_000)] = 50

    webhook_allow_private: bool = False
    webhook_allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list)

    rate_limit_per_minute: Annotated[int, Field(ge=1)] = 60
    login_limit_per_minute: Annotated[int, Field(ge=1)] = 10
    cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    hsts_seconds: Annotated[int, Field(ge=0)] = 0
    """0: the header is the business of whoever ends TLS."""

    @field_validator(
        "cors_origins",
        "webhook_allowed_hosts",
        "crm_allowed_hosts",
        "jwt_algorithms",
        "trusted_proxies",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("нужны сайты вида https://crm.example.ru через запятую, без * и без пути")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        try:
            return [str(ip_network(entry, strict=False)) for entry in value]
        except ValueError:
            raise ValueError("нужны адреса или сети через запятую") from None

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not _PATH.fullmatch(path):
            raise ValueError("нужен путь вида /api/v1/kwork")
        return path

    @field_validator("webhook_allowed_hosts", "crm_allowed_hosts")
    @classmethod
    def _names_or_networks(cls, value: list[str]) -> list[str]:
        for entry in value:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                if not _HOST.fullmatch(entry.lower()):
                    raise ValueError("нужны имена, адреса или сети через запятую") from None
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _known_algorithms(cls, value: list[str]) -> list[str]:
        if not value or set(value) - _ALGORITHMS:
            raise ValueError(f"нужны через запятую: {', '.join(sorted(_ALGORITHMS))}")
        return value

    @field_validator("gateway_introspection")
    @classmethod
    def _somebody_to_ask(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("api_gateway_url") is None:
            raise ValueError("нужен API_GATEWAY_URL: спрашивать о токенах некого")
        return value

    @field_validator(
        "kwork_web_url", "kwork_api_url", "crm_api_url", "api_gateway_url", "jwt_jwks_url", "tracing_url"
    )
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("нужен адрес вида https://example.ru")
        return value.rstrip("/")

    @field_validator("database_url", "redis_url")
    @classmethod
    def _server_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schemes = _POSTGRES if info.field_name == "database_url" else _REDIS
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError(f"адрес должен начинаться с {' или '.join(schemes)}")
        return value

    @field_validator("kwork_absent_after_seconds")
    @classmethod
    def _beyond_the_deadline(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("kwork_deadline_seconds", 0.0):
            raise ValueError("должно быть не меньше KWORK_DEADLINE_SECONDS: запрос может быть ещё в пути")
        return value

    @field_validator("kwork_mobile_key")
    @classmethod
    def _pair(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and ":" not in value.get_secret_value():
            raise ValueError("нужен вид «пользователь:пароль»")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError("нужно DEBUG, INFO, WARNING или ERROR")
        return value.upper()

    @field_validator("tenant_id_header")
    @classmethod
    def _header_name(cls, value: str) -> str:
        if not _HEADER.fullmatch(value):
            raise ValueError("нужно имя заголовка: латинские буквы, цифры и дефис")
        return value

    @property
    def notice_url(self) -> str | None:
        """Where Kwork's notices are listened to. Kwork's own address goes with Kwork's own site only: a channel of
        a stand-in is never told to the real one.
        """
        if self.kwork_notice_url is None and self.kwork_web_url == KWORK_WEB_URL:
            return KWORK_NOTICE_URL
        return self.kwork_notice_url

    @property
    def listens(self) -> bool:
        """Whether accounts are followed by Kwork's websocket."""
        wanted = self.kwork_mobile_key is not None if self.kwork_live is None else self.kwork_live
        return wanted and self.notice_url is not None

    @property
    def embedded_postgres(self) -> bool:
        """True when the service brings its own PostgreSQL."""
        return self.database_url is None and not self.postgres_host

    @property
    def embedded_valkey(self) -> bool:
        """True when the service brings its own Valkey."""
        return self.redis_url is None
