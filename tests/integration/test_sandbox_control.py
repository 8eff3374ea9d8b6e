"""The sandbox as a program: start, ports, world, time, isolation of accounts."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter

import httpx2
import pytest

from tests.stand import ROOT, Stand


def test_every_port_answers_once_the_first_line_is_out(stand: Stand) -> None:
    for address in (stand.web, stand.api, stand.crm, stand.control):
        assert httpx2.get(address).status_code < 500


def test_a_taken_port_ends_with_one_russian_sentence_and_code_2(stand: Stand) -> None:
    port = stand.control.rsplit(":", 1)[1]
    run = subprocess.run(
        [sys.executable, "-m", "sandbox", "--web-port", port],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == b""
    assert f"Порт {port}" in run.stderr.decode()
    assert len(run.stderr.decode().strip().splitlines()) == 1


def test_sigterm_ends_it_at_once_even_with_a_client_connected() -> None:
    running = Stand.start("--projects", "3", "--orders", "1")
    with httpx2.Client(base_url=running.web) as client:
        client.get("/")
        running.process.terminate()
        assert running.process.wait(60) == 0
    running.stop()


def test_it_ends_with_its_parent_even_after_kill_9() -> None:
    code = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-m', 'sandbox', "
        "'--projects', '1', '--orders', '1', '--die-with-parent']); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        hello = json.loads(parent.stdout.readline())
        assert httpx2.get(hello["control"]).status_code == 200
        parent.kill()
        try:
            # the pipe ends when its last holder, the sandbox, is gone
            assert select.select([parent.stdout], [], [], 5)[0]
            assert parent.stdout.read() == b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def test_the_same_seed_makes_the_same_world_and_another_seed_another(kwork_stand: Stand) -> None:
    names = [p["name"] for p in kwork_stand.projects()]
    kwork_stand.reset(seed=7)
    assert [p["name"] for p in kwork_stand.projects()] == names
    kwork_stand.reset(seed=8)
    assert [p["name"] for p in kwork_stand.projects()] != names


def test_a_full_world_has_the_asked_size_and_follows_the_price_rules(kwork_stand: Stand) -> None:
    kwork_stand.reset(projects=571, orders=120)
    projects = kwork_stand.projects()
    assert len(projects) == 571
    for project in projects:
        factor = 3 if project["is_higher_price"] else 1
        assert project["possible_price_limit"] == project["price_limit"] * factor
        days = 1 if project["price_limit"] < 5000 else 2
        assert project["date_expire"] - project["date_active"] == days * 86400
    active = [p["date_active"] for p in projects]
    assert active == sorted(active, reverse=True)
    newest = max(p["id"] for p in projects)
    assert sum(p["id"] < newest - 20_000 for p in projects) >= 571 * 0.04


def test_orders_come_in_every_status_and_share_buyers(kwork_stand: Stand) -> None:
    kwork_stand.reset(orders=120)
    orders = kwork_stand.orders()
    assert len(orders) == 120
    assert set(Counter(o["status"] for o in orders)) == {1, 2, 3, 4, 5, 6}
    assert len({o["payer_id"] for o in orders}) <= 60
    assert any(o["stages"] for o in orders)
    assert any(o["is_cancel_request"] for o in orders)


def test_accounts_own_different_orders(kwork_stand: Stand) -> None:
    first, second = (kwork_stand.orders(a["username"]) for a in kwork_stand.accounts)
    assert first
    assert second
    assert not {o["id"] for o in first} & {o["id"] for o in second}


def test_moving_time_drops_projects_and_settles_orders(kwork_stand: Stand) -> None:
    fresh = kwork_stand.add_order(title="Новый")
    checked = next(o for o in kwork_stand.orders() if o["status"] == 4)
    kwork_stand.move_time(5 * 86400)
    assert kwork_stand.projects() == []
    assert kwork_stand.order(fresh["id"])["status"] == 3
    assert kwork_stand.order(checked["id"])["status"] == 5


def test_a_reactivated_project_returns_to_the_top_under_its_id(kwork_stand: Stand) -> None:
    oldest = kwork_stand.projects()[-1]
    kwork_stand.reactivate(oldest["id"])
    assert kwork_stand.projects()[0]["id"] == oldest["id"]


def test_an_order_goes_through_its_events_and_refuses_impossible_ones(kwork_stand: Stand) -> None:
    order = kwork_stand.add_order(title='Бот "Ромашка" & Ко', price=4000)
    assert order["title"] == "Бот «Ромашка» &amp; Ко"
    steps = {"take": 33, "hand_in": 32, "rework": 17, "accept": 16}
    for event, track in steps.items():
        assert kwork_stand.advance_order(order["id"], event)["track"]["type"] == track
    assert kwork_stand.order(order["id"])["status"] == 5
    with pytest.raises(RuntimeError, match="impossible"):
        kwork_stand.advance_order(order["id"], "hand_in")


def test_unknown_faults_and_things_are_refused(kwork_stand: Stand) -> None:
    with pytest.raises(RuntimeError, match="unknown fault"):
        kwork_stand.fault("earthquake")
    with pytest.raises(RuntimeError, match="no order"):
        kwork_stand.order(1)
