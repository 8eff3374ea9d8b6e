"""Dashboards as code: ``python -m deploy.grafana.build`` writes ``dashboards/*.json``; a test keeps them up to date.

Figures of the database are the same from every instance of the API, hence ``max``; counters of processes are summed.
"""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.panels import Dashboard, Panel, text

FOLDER = Path(__file__).resolve().parent / "dashboards"
_ROUTES = 'route!~".*/events|unmatched"'
_LOGS = '{service="kwork-service"} | json'


def _quantile(of: float) -> str:
    return f"histogram_quantile({of}, sum by (le) (rate(kwork_http_request_seconds_bucket{{{_ROUTES}}}[5m])))"


def _stat(title: str, expression: str, told: str, unit: str = "short") -> Panel:
    return Panel(title, [(expression, "")], unit, "stat", 4, told)


OVERVIEW = Dashboard(
    "kwork-overview",
    "Kwork Service: обзор",
    (
        (
            "Обещание: каждый заказ дойдёт или ждёт человека",
            (
                _stat(
                    "Самая старая недошедшая доставка",
                    'max(kwork_delivery_oldest_seconds{state!="parked"})',
                    "Без отложенных человеку.",
                    "s",
                ),
                _stat(
                    "Ждут решения человека",
                    'sum(max by (entity) (kwork_deliveries{state="parked"}))',
                    "GET /api/v1/crm-sync/failures",
                ),
                _stat(
                    "Неясные отправки в Kwork",
                    'max(kwork_writes{state="unknown"})',
                    "Сервис ищет их на Kwork сам.",
                ),
                _stat(
                    "Аккаунты, которым нужен человек",
                    'max(kwork_accounts{state="needs_person"})',
                    "Капча, код, пароль.",
                ),
                _stat(
                    "Остановлено из-за вёрстки",
                    "sum(max by (reading) (kwork_layout_drift))",
                    "Kwork изменил вид данных.",
                ),
                _stat(
                    "CRM не отвечают",
                    'sum(max by (crm) (kwork_crm_breakers{state="open"}))',
                    "Подключения с открытым прерывателем.",
                ),
            ),
        ),
        (
            "Чтение Kwork и отправка в CRM",
            (
                Panel("Отставание чтения", [("max by (stream) (kwork_sync_lag_seconds)", "{{stream}}")], "s"),
                Panel(
                    "Обработано заказов и проектов",
                    [
                        (
                            "sum by (kind, outcome) (rate(kwork_orders_processed_total[5m]))",
                            "{{kind}} {{outcome}}",
                        )
                    ],
                    "ops",
                ),
                Panel(
                    "Создано лидов",
                    [("sum by (crm, outcome) (rate(kwork_leads_created_total[5m]))", "{{crm}} {{outcome}}")],
                    "ops",
                ),
                Panel(
                    "Доставки по состояниям",
                    [("max by (entity, state) (kwork_deliveries)", "{{entity}} {{state}}")],
                ),
                Panel(
                    "Ошибки синхронизации",
                    [("sum by (stream, code) (rate(kwork_sync_errors_total[5m]))", "{{stream}} {{code}}")],
                    "ops",
                ),
                Panel(
                    "Расхождения вёрстки",
                    [("sum by (reading) (rate(kwork_layout_drift_total[15m]))", "{{reading}}")],
                    "ops",
                ),
                Panel("Аккаунты по состояниям", [("max by (state) (kwork_accounts)", "{{state}}")]),
                Panel("Отправки в Kwork в работе", [("max by (state) (kwork_writes)", "{{state}}")]),
                Panel("Прерыватели CRM", [("max by (crm, state) (kwork_crm_breakers)", "{{crm}} {{state}}")]),
            ),
        ),
        (
            "API",
            (
                Panel(
                    "Запросы",
                    [
                        (
                            f"sum by (status) (rate(kwork_http_request_seconds_count{{{_ROUTES}}}[5m]))",
                            "{{status}}",
                        )
                    ],
                    "reqps",
                ),
                Panel(
                    "Время ответа",
                    [(_quantile(0.5), "p50"), (_quantile(0.95), "p95"), (_quantile(0.99), "p99")],
                    "s",
                ),
                Panel(
                    "Самые медленные адреса, p95",
                    [
                        (
                            "topk(5, histogram_quantile(0.95, sum by (le, method, route) (rate(kwork_http_request_seconds_bucket[5m]))))",
                            "{{method}} {{route}}",
                        )
                    ],
                    "s",
                ),
            ),
        ),
        (
            "Процессы",
            (
                Panel("Задания в очереди", [("max by (queue, state) (kwork_jobs)", "{{queue}} {{state}}")]),
                Panel(
                    "Самое старое ждущее задание",
                    [("max by (queue) (kwork_job_oldest_seconds)", "{{queue}}")],
                    "s",
                ),
                Panel(
                    "Задания",
                    [("sum by (task, outcome) (rate(kwork_jobs_done_total[5m]))", "{{task}} {{outcome}}")],
                    "ops",
                ),
                Panel(
                    "Работники и окна браузера",
                    [("max(kwork_workers)", "работники"), ("sum(kwork_browser_contexts)", "окна")],
                ),
                Panel(
                    "Память",
                    [('process_resident_memory_bytes{job=~"kwork-.*"}', "{{job}} {{instance}}")],
                    "bytes",
                ),
                Panel(
                    "Потерянные строки журнала",
                    [
                        (
                            "sum by (instance, reason) (rate(kwork_log_lines_dropped_total[5m]))",
                            "{{instance}} {{reason}}",
                        )
                    ],
                    "ops",
                ),
            ),
        ),
    ),
)


def _logs(title: str, filters: str, told: str = "") -> Panel:
    return Panel(title, [(f"{_LOGS} | {filters}", "")], kind="logs", width=24, told=told)


_OF_ACCOUNT = 'tenant=~"$tenant.*" | account=~"$account.*"'
ACCOUNT = Dashboard(
    "kwork-account",
    "Kwork Service: история аккаунта",
    (
        (
            "Тенант (ряды есть, если METRICS_TENANTS больше нуля)",
            (
                Panel(
                    "Отставание чтения",
                    [('max by (stream) (kwork_tenant_sync_lag_seconds{tenant=~"$tenant.*"})', "{{stream}}")],
                    "s",
                    width=12,
                ),
                Panel(
                    "Доставки",
                    [
                        (
                            'max by (entity, state) (kwork_tenant_deliveries{tenant=~"$tenant.*"})',
                            "{{entity}} {{state}}",
                        )
                    ],
                    width=12,
                ),
            ),
        ),
        (
            "Журнал",
            (
                Panel(
                    "Строки аккаунта по уровням",
                    [
                        (
                            f"sum by (level) (count_over_time({_LOGS} | {_OF_ACCOUNT} [$__interval]))",
                            "{{level}}",
                        )
                    ],
                    width=24,
                    kind="loki",
                ),
                _logs("Предупреждения и ошибки", f'{_OF_ACCOUNT} | level=~"warning|error|critical"'),
                _logs("Отправки в Kwork", f'{_OF_ACCOUNT} | write!=""', "Поле write — номер отправки."),
                _logs(
                    "Всё по порядку",
                    f'{_OF_ACCOUNT} | request_id=~"$request.*"',
                    "Заданный request_id показывает один запрос и всё, что он вызвал.",
                ),
            ),
        ),
    ),
    (
        {"name": "tenant", "label": "Тенант", "type": "textbox"},
        {"name": "account", "label": "Аккаунт (id)", "type": "textbox"},
        {"name": "request", "label": "request_id", "type": "textbox"},
    ),
)

_CRM = 'crm=~"$crm"'
CONNECTION = Dashboard(
    "kwork-crm",
    "Kwork Service: подключение к CRM",
    (
        (
            "Вид CRM: $crm",
            (
                Panel("Прерыватели", [(f"max by (state) (kwork_crm_breakers{{{_CRM}}})", "{{state}}")]),
                Panel(
                    "Лиды",
                    [(f"sum by (outcome) (rate(kwork_leads_created_total{{{_CRM}}}[5m]))", "{{outcome}}")],
                    "ops",
                ),
                Panel(
                    "Завершено доставок",
                    [
                        (
                            "sum by (entity, state) (rate(kwork_deliveries_settled_total[5m]))",
                            "{{entity}} {{state}}",
                        )
                    ],
                    "ops",
                ),
                Panel(
                    "Доставки в работе",
                    [("max by (entity, state) (kwork_deliveries)", "{{entity}} {{state}}")],
                    width=12,
                ),
                Panel(
                    "Возраст самых старых",
                    [("max by (entity, state) (kwork_delivery_oldest_seconds)", "{{entity}} {{state}}")],
                    "s",
                    width=12,
                ),
            ),
        ),
        (
            "Журнал подключения",
            (
                _logs(
                    "Потеряна и вернулась, отказы",
                    'connection=~"$connection.*" | level=~"warning|error|critical"',
                ),
                _logs("Всё по порядку", 'connection=~"$connection.*" | connection!=""'),
            ),
        ),
    ),
    (
        {"name": "crm", "label": "CRM", "type": "query", "query": "label_values(kwork_crm_breakers, crm)"},
        {"name": "connection", "label": "Подключение (id)", "type": "textbox"},
    ),
)

DASHBOARDS = {"overview": OVERVIEW, "account": ACCOUNT, "crm-connection": CONNECTION}


if __name__ == "__main__":
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text(dashboard), encoding="utf-8")
