"""`python -m sandbox.amocrm`: the stand-in on a port of its own; first line of stdout is JSON with what to connect by."""

import argparse
import asyncio

import orjson

from sandbox.amocrm.account import FIRST_STAGE, MAIN_PIPELINE, REVIEW_STAGE, WORK_STAGE, Account, Habits
from sandbox.amocrm.app import build
from sandbox.amocrm.tokens import Tokens
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.server import listen, serve, url_of

TOKEN = "sandbox-amocrm-token"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.amocrm", description="Двойник amoCRM: API v4.")
    parser.add_argument("--port", type=int, default=0, help="порт, 0 — любой свободный")
    parser.add_argument("--per-second", type=int, default=7, help="сколько запросов в секунду принимать")
    arguments = parser.parse_args()
    sock = listen("127.0.0.1", arguments.port)
    journal = Journal()
    account = Account(journal.now, Habits(per_second=arguments.per_second))
    app = build(journal, Faults(), account, Tokens(journal.now, TOKEN))
    greeting = {
        "CRM_KIND": "amocrm",
        "CRM_API_URL": url_of(sock),
        "CRM_API_KEY": TOKEN,
        "CRM_SETTINGS": {
            "pipeline_id": MAIN_PIPELINE,
            "statuses": {"new": FIRST_STAGE, "in_progress": WORK_STAGE, "on_review": REVIEW_STAGE},
        },
    }
    asyncio.run(serve([(app, sock)], lambda: print(orjson.dumps(greeting).decode(), flush=True), None))


if __name__ == "__main__":
    main()
