"""`strangler …`, as it is typed: what it says, and the code it ends with."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from flags.flag import Side
from proxy.forcing import Force, forces
from proxy.server import YOUNG
from proxy.signature import Secret
from tests.e2e.proxies import ROOT, STRANGLER, Proxy, environment, running, strangler

COMMANDS = [
    *("serve", "check", "handlers", "routes", "status", "set", "shadow", "rollback", "reset", "seed", "mismatches"),
    *("force", "audit", "events", "webhooks", "ramp", "parity", "replay"),
]
ORDERS = [
    ["status"],
    ["set", "things.list", "5%"],
    ["shadow", "things.list", "5%"],
    ["rollback", "--all"],
    ["reset", "things.list"],
    ["seed"],
    ["mismatches"],
    ["mismatches", "show", "0123456789ab"],
    ["mismatches", "resolve", "0123456789ab"],
    ["audit"],
    ["events"],
    ["webhooks"],
    ["ramp", "things.list"],
    ["ramp", "things.list", "--pause"],
    ["parity", "things.list"],
]
DONE, REFUSED, WRONG = 0, 1, 2
SOUND = f"""
legacy: {{url: http://{LOOPBACK}:9}}
routes:
  - {{name: things.list, match: GET /things, group: things}}
  - {{name: things.show, match: "GET /things/{{id}}"}}
"""
FAULTY = """
listen: 8080
legacy: {url: ftp://127.0.0.1:9, connect: 1}
shadow: {deadlin: 5s}
routes:
  - {name: things.list, match: GET things, share: 5}
  - {name: things.list, match: GET /things}
"""
FAULTS = ["listen", "legacy.url", "legacy.connect", "shadow.deadlin", "routes[0].match", "routes[0].share"]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    config = {
        "legacy": {"url": f"http://{LOOPBACK}:9"},
        "native": {"app": "tests.e2e.sides:native"},
        "routes": [
            {"name": "things.list", "match": "GET /things", "share": "5%"},
            {"name": "things.show", "match": "GET /things/{id}"},
        ],
    }
    with running(tmp_path_factory.mktemp("cli"), config) as proxy:
        yield proxy


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.yaml"
    path.write_text(SOUND)
    return path


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    path = tmp_path / "faulty.yaml"
    path.write_text(FAULTY)
    return path


def test_help_names_every_command_and_the_exit_codes() -> None:
    told = strangler("--help")
    assert told.code == DONE
    assert [command for command in COMMANDS if f"    {command}" not in told.out] == []
    assert "0 done, 1 refused or failed, 2 bad usage or configuration" in told.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_options_and_the_exit_codes(command: str) -> None:
    told = strangler(command, "--help")
    assert told.code == DONE
    for words in (f"strangler {command}", "--config", "--json", "0 done, 1 refused or failed"):
        assert words in told.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["move"], "move"),
        (["set"], "ROUTE"),
        (["set", "things.list"], "PERCENT"),
        (["set", "things.list", "5"], "has no unit"),
        (["set", "things.list", "101%"], "outside 0–100 %"),
        (["set", "things.list", "-5%"], "PERCENT"),
        (["set", "things.list", "many"], "is not a number with a unit"),
        (["shadow", "things.list", "0.001%"], "finer than a basis point"),
        (["rollback"], "ROUTE --all"),
        (["rollback", "things.list", "--all"], "not allowed with"),
        (["rollback", "--local"], "ROUTE --all"),
        (["rollback", "--all", "--state"], "expected one argument"),
        (["rollback", "--all", "--state", ""], '"" is no directory here'),
        (["rollback", "--all", "--state", "nowhere"], '"nowhere" is no directory here'),
        (["reset"], "ROUTE"),
        (["ramp"], "ROUTE"),
        (["ramp", "things.list", "101"], "outside 0–100 %"),
        (["ramp", "things.list", "5", "--hold", "10"], "has no unit"),
        (["ramp", "things.list", "5", "--min-requests", "0"], "not a number above 0"),
        (["ramp", "things.list", "5", "--parity", "101"], "outside 0–100 %"),
        (["parity"], "ROUTE"),
        (["ramp", "things.list", "--pause", "--resume"], "not allowed with"),
        (["status", "things.list", "--watch"], "not allowed with"),
        (["mismatches", "--count", "0"], "not a number above 0"),
        (["mismatches", "--count", "many"], "not a number above 0"),
        (["mismatches", "resolve", "0123", "4567"], "nothing that can be done"),
        (["mismatches", "things.list", "things.show"], "nothing that can be done"),
        (["mismatches", "show", "0123", "--count", "5"], "--count belongs to the list"),
        (["mismatches", "mute", "0123", "--all"], "--all belongs to the list"),
        (["mismatches", "resolve", "0123", "--for", "7d"], "--for belongs to mismatches mute ID"),
        (["mismatches", "things.list", "--output", "x"], "--output belongs to mismatches export ID"),
        (["mismatches", "mute", "0123", "--for", "31d"], "no longer than 30 days"),
        (["audit", "--count", "-1"], "not a number above 0"),
        (["set", "things.list", "5%", "--generation", "-1"], "is no generation"),
        (["set", "things.list", "5%", "--generation", "1.5"], "is no generation"),
        (["reset", "things.list", "--generation", "9" * 16], "is no generation"),
        (["events", "things.list"], "unrecognized arguments"),
        (["handlers", "--listen", "3100"], "not a host and a port"),
        (["check", "--config"], "expected one argument"),
        (["force"], "side, --for, --who"),
        (["force", "rails", "--for", "1h", "--who", "anna"], "invalid choice"),
        (["force", "native", "--who", "anna"], "--for"),
        (["force", "native", "--for", "1h"], "--who"),
        (["force", "native", "--for", "25h", "--who", "anna"], "longer than a day"),
        (["force", "native", "--for", "1h", "--who", "Anna K."], "must be letters"),
        *(
            (["serve", "--workers", count], "not a number from 1 to 64")
            for count in ("0", "-1", "65", "two", "2.5", "")
        ),
        (["check", "--workers", "2"], "unrecognized arguments"),
    ],
)
def test_bad_usage_is_told_with_the_way_out(arguments: list[str], words: str) -> None:
    told = strangler(*arguments)
    assert told.code == WRONG
    assert told.out == ""
    assert "usage: strangler" in told.err
    assert words in told.err
    as_json = strangler(*arguments, "--json")
    assert (as_json.code, as_json.err) == (told.code, told.err)
    assert words in as_json.json["error"]


@pytest.mark.parametrize("command", ["check", "serve", "routes", "handlers"])
def test_a_faulty_configuration_stops_whatever_runs_by_it_with_all_of_its_faults(command: str, faulty: Path) -> None:
    told = strangler(command, "--config", faulty)
    assert told.code == WRONG
    assert told.out == ""
    assert str(faulty) in told.err
    assert "nothing was started or changed" in told.err
    assert [fault for fault in FAULTS if f"  {fault}: " not in told.err] == []
    as_json = strangler(command, "--config", faulty, "--json")
    assert (as_json.code, as_json.err) == (WRONG, told.err)
    assert set(FAULTS) <= {fault["place"] for fault in as_json.json["faults"]}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_an_order_needs_the_section_admin_alone(order: list[str], faulty: Path) -> None:
    admin = f"{LOOPBACK}:{free_port()}"
    faulty.write_text(f"{FAULTY}admin: {{listen: '{admin}'}}\n")
    told = strangler(*order, "--config", faulty)
    assert told.code == REFUSED
    assert f"no proxy answers at {admin}" in told.err
    faulty.write_text(f"{FAULTY}admin: {{listen: 9901, tokn: x}}\n")
    told = strangler(*order, "--config", faulty)
    assert told.code == WRONG
    assert "has 2 faults" in told.err
    assert "admin.listen: " in told.err
    assert 'admin.tokn: unknown key; did you mean "tokens"?' in told.err


@pytest.mark.parametrize("text", [None, "legacy: {url: [\n", "admin: {listen: '0.0.0.0:9901'}\n"])
def test_an_order_that_its_file_keeps_from_leaving_says_how_to_do_without(text: str | None, faulty: Path) -> None:
    faulty.unlink() if text is None else faulty.write_text(text)
    told = strangler("rollback", "--all", "--config", faulty)
    assert told.code == WRONG
    assert "--admin HOST:PORT" in told.err
    assert "STRANGLER_TOKEN" in told.err
    assert "--admin" not in strangler("check", "--config", faulty).err


def test_a_route_is_rolled_back_while_somebody_edits_the_file(proxy: Proxy, faulty: Path) -> None:
    admin = f"{LOOPBACK}:{proxy.admin.base_url.port}"
    faulty.write_text(f"{FAULTY}admin: {{listen: '{admin}'}}\n")
    try:
        assert "half edited" in strangler("rollback", "--all", "--config", faulty, "--why", "half edited").out
        faulty.unlink()
        assert "half edited" in strangler("status", "--config", faulty, "--admin", admin).out
    finally:
        for route in ("things.list", "things.show"):
            proxy.order("reset", route)


def test_only_orders_can_be_given_without_a_file() -> None:
    told = strangler("check", "--admin", "127.0.0.1:9901")
    assert told.code == WRONG
    assert "unrecognized arguments: --admin" in told.err
    told = strangler("status", "--admin", "9901")
    assert told.code == WRONG
    assert "not a host and a port" in told.err


def test_a_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    told = strangler("check", "--config", tmp_path / "none.yaml")
    assert told.code == WRONG
    assert "none.yaml" in told.err
    assert "no such file" in told.err


def test_a_sound_configuration_is_said_to_be_one(sound: Path) -> None:
    told = strangler("check", "--config", sound)
    assert told.code == DONE
    assert "no faults; routes: 2" in told.out
    told = strangler("check", "--config", sound, "--json").json
    assert told == {"faults": [], "thresholds": {"routes": [], "falseAlarms": {}}}


def test_who_judges_by_thresholds_is_told_what_they_cost(sound: Path) -> None:
    sound.write_text(sound.read_text().replace("name: things.list", "judge: threshold, name: things.list", 1))
    told = strangler("check", "--config", sound)
    assert told.code == DONE
    assert "no bound on false alarms: things.list." in told.out
    assert "10: every day" in told.out


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("no_such_module:app", "cannot import no_such_module:app"),
        ("tests.e2e.sides:no_such_app", "cannot import tests.e2e.sides:no_such_app"),
        ("os:sep", "os:sep is no ASGI application"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_native_application_that_cannot_be_had_is_listed_with_the_other_faults(
    app: str, words: str, command: str, faulty: Path
) -> None:
    faulty.write_text(f"{FAULTY}native: {{app: '{app}'}}\n")
    told = strangler(command, "--config", faulty)
    assert told.code == WRONG
    assert f"  native.app: {words}" in told.err
    assert [fault for fault in FAULTS if f"  {fault}: " not in told.err] == []


def test_an_application_that_runs_elsewhere_keeps_no_proxy_from_starting(proxy: Proxy, sound: Path) -> None:
    """Only a port that is taken already stops this one."""
    taken = f"{LOOPBACK}:{proxy.service.port}"
    native = f"{{app: 'no_such_module:app', url: 'http://{LOOPBACK}:10'}}"
    sound.write_text(f"{SOUND}native: {native}\nlisten: {taken}\nadmin: {{listen: '{LOOPBACK}:0'}}\n")
    assert "cannot import no_such_module" in strangler("check", "--config", sound).err
    told = strangler("serve", "--config", sound)
    assert f"listen: cannot listen on {taken}" in told.err
    assert "no_such_module" not in told.err


def test_routes_are_listed_without_a_running_proxy(sound: Path) -> None:
    told = strangler("routes", "--config", sound)
    assert told.code == DONE
    assert [line.split(maxsplit=2) for line in told.out.splitlines()] == [
        ["ROUTE", "GROUP", "MATCH"],
        ["things.list", "things", "GET /things"],
        ["things.show", "default", "GET /things/{id}"],
    ]
    first = strangler("routes", "--config", sound, "--json").json["routes"][0]
    assert first == {"route": "things.list", "match": "GET /things", "group": "things"}


@pytest.mark.parametrize("command", ORDERS, ids=lambda order: order[0])
def test_where_no_proxy_runs_every_order_fails_and_says_so(command: list[str], sound: Path) -> None:
    sound.write_text(f"{SOUND}admin: {{listen: '{LOOPBACK}:{free_port()}'}}\n")
    told = strangler(*command, "--config", sound)
    assert told.code == REFUSED
    assert told.out == ""
    assert "no proxy answers" in told.err
    as_json = strangler(*command, "--config", sound, "--json")
    assert (as_json.code, as_json.err) == (REFUSED, told.err)
    assert "no proxy answers" in as_json.json["error"]


def test_shares_are_moved_and_shown(proxy: Proxy) -> None:
    assert "native answers 12.5 %" in proxy.order("set", "things.list", "12.5%").out
    assert "100 % is shadowed" in proxy.order("shadow", "things.list", "100%").out
    assert "nothing changed" in proxy.order("shadow", "things.list", "100%").out
    (line,) = [line for line in proxy.order("status").out.splitlines() if line.startswith("things.list")]
    assert "12.5 %" in line
    assert "100 %" in line
    listed, _ = proxy.order("status", "--json").json["routes"]
    assert (listed["share"], listed["shadow"]) == (1_250, 10_000)
    (change,) = proxy.order("set", "things.list", "5%", "--json").json["changes"]
    assert change["route"] == "things.list"
    assert change["reach"] == "fleet"


def test_a_rollback_is_told_kept_and_lifted(proxy: Proxy) -> None:
    proxy.order("set", "things.show", "50%")
    assert "too slow" in proxy.order("rollback", "things.show", "--why", "too slow").out
    refused = proxy.strangler("set", "things.show", "5%")
    assert refused.code == REFUSED
    assert "too slow" in refused.err
    assert "too slow" in proxy.strangler("set", "things.show", "5%", "--json").json["error"]
    assert "tripped" in proxy.order("status").out
    assert "reset" in proxy.order("reset", "things.show").out
    assert "nothing changed" in proxy.order("reset", "things.show").out


def test_an_order_for_a_flag_that_is_another_by_now_is_refused_with_that_one(proxy: Proxy) -> None:
    (change,) = proxy.order("set", "things.list", "6%", "--json").json["changes"]
    seen = str(change["generation"])
    assert "native answers 7 %" in proxy.order("set", "things.list", "7%", "--generation", seen).out
    for order in (["set", "things.list", "8%"], ["shadow", "things.list", "8%"], ["reset", "things.list"]):
        told = proxy.strangler(*order, "--generation", seen, "--json")
        assert told.code == REFUSED
        assert "somebody else changed it first" in told.err
        assert told.json["flag"]["share"] == 700


def test_the_audit_tells_who_changed_what_and_why(proxy: Proxy) -> None:
    proxy.order("set", "things.list", "15%", "--why", "step 3")
    proxy.order("set", "things.show", "15%")
    (line,) = proxy.order("audit", "things.list", "--count", "1").out.splitlines()
    assert "things.list  native answers 15 % (it was " in line
    assert line.endswith(", by this machine: step 3")
    newest, step = proxy.order("audit", "--count", "2", "--json").json["audit"]
    assert (newest["route"], newest["why"]) == ("things.show", "no reason given")
    assert (step["route"], step["who"], step["why"]) == ("things.list", "this machine", "step 3")
    assert proxy.strangler("audit", "no.such").code == REFUSED


def test_where_no_webhooks_are_configured_it_is_said(proxy: Proxy) -> None:
    assert proxy.order("webhooks").out == "No webhooks are configured.\n"


def started(proxy: Proxy, command: str, *arguments: str) -> subprocess.Popen[str]:
    """A command that goes on until it is interrupted."""
    given = [*STRANGLER, command, "--config", proxy.config, *arguments]
    return subprocess.Popen(given, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment({}))


def interrupted(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    with process.stdout as rest:
        rest.read()
    return process.wait(30)


def test_events_are_lines_as_they_happen_until_they_are_interrupted(proxy: Proxy) -> None:
    process = started(proxy, "events", "--json")
    assert process.stdout is not None
    for percent in range(20, 90):  # it may not listen yet to the first of them
        proxy.order("set", "things.list", f"{percent}%")
        if select.select([process.stdout], [], [], 0.2)[0]:
            break
    told = json.loads(process.stdout.readline())
    assert (told["route"], told["what"], told["who"]) == ("things.list", "changed", "this machine")
    assert interrupted(process) == REFUSED


def test_the_status_is_drawn_again_and_again_until_it_is_interrupted(proxy: Proxy) -> None:
    process = started(proxy, "status", "--watch", "--json")
    assert process.stdout is not None
    drawn = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [look["routes"][0]["route"] for look in drawn] == ["things.list"] * 2
    assert interrupted(process) == REFUSED


def test_whoever_stops_reading_is_told_nothing_more(proxy: Proxy) -> None:
    process = started(proxy, "status", "--watch")
    assert process.stdout is not None
    assert "ROUTE" in process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == REFUSED


@pytest.mark.parametrize("route", ["no.such", "a/b", "a?b", "../flags", "%2e", ""])
@pytest.mark.parametrize("command", [["set", "ROUTE", "5%"], ["rollback", "ROUTE"], ["reset", "ROUTE"]])
def test_an_unknown_route_is_refused_with_where_to_look(command: list[str], route: str, proxy: Proxy) -> None:
    told = proxy.strangler(*(route if word == "ROUTE" else word for word in command))
    assert told.code == REFUSED
    assert told.out == ""
    assert "no such route" in told.err
    assert "strangler routes" in told.err


def test_mismatches_of_an_unknown_route_are_not_passed_off_as_none(proxy: Proxy) -> None:
    assert "No mismatch" in proxy.order("mismatches").out
    assert "No mismatch" in proxy.order("mismatches", "things.list", "--count", "5", "--all").out
    assert proxy.order("mismatches", "--json").json == {"mismatches": []}
    told = proxy.strangler("mismatches", "no.such")
    assert told.code == REFUSED
    assert "no such route" in told.err


@pytest.mark.parametrize("verb", ["show", "resolve", "mute", "export"])
def test_a_mismatch_that_is_not_kept_is_refused_with_where_to_look(verb: str, proxy: Proxy) -> None:
    for id in ("0123456789ab", "a/b", "..", ""):
        told = proxy.strangler("mismatches", verb, id)
        assert (told.code, told.out) == (REFUSED, "")
    told = proxy.strangler("mismatches", verb, "0123456789ab")
    assert "strangler mismatches --all" in told.err


def test_a_ramp_shows_what_it_brings_begins_and_is_turned(proxy: Proxy) -> None:
    proxy.order("set", "things.show", "0%")
    assert proxy.order("ramp", "things.show").out == "things.show: it never had a ramp.\n"
    dry = proxy.order("ramp", "things.show", "1", "5%", "--dry-run").out
    assert "Too little is known of this route's traffic" in dry
    assert "Legacy lately carried 0.0 requests/s" in dry
    assert proxy.route("things.show")["share"] == 0
    begun = proxy.order("ramp", "things.show", "1", "5", "100", "--hold", "2h", "--min-requests", "5000").out
    assert begun.startswith(dry)
    assert "things.show: its ramp is running, step 1 of 3, 1 %; goes on to 5 % after 2 h more of the hold" in begun
    assert proxy.route("things.show")["share"] == 100
    assert "things.show: its ramp is running" in proxy.order("status").out
    assert "paused at step 1 of 3" in proxy.order("ramp", "things.show", "--pause", "--why", "a doubt").out
    assert "its ramp is paused at step 1 of 3, 1 %" in proxy.order("audit", "things.show", "--count", "1").out
    assert proxy.strangler("ramp", "things.show", "--resume", "--generation", "1").code == REFUSED
    assert "paused at step 1 of 3" in proxy.order("ramp", "things.show", "--status").out
    assert proxy.order("ramp", "things.show", "--resume", "--json").json["ramp"]["state"] == "running"
    refused = proxy.strangler("ramp", "things.show", "10")
    assert (refused.code, "a ramp is running here" in refused.err) == (REFUSED, True)
    refused = proxy.strangler("ramp", "things.show", "10", "--abort")
    assert (refused.code, "--abort takes no shares" in refused.err) == (REFUSED, True)
    assert "aborted at step 1 of 3" in proxy.order("ramp", "things.show", "--abort").out
    told = proxy.order("ramp", "things.show", "1", "100", "--json").json
    assert (told["ramp"]["hold"], told["ramp"]["minRequests"], told["prospects"]) == (600.0, 1000, [])
    proxy.order("ramp", "things.show", "--abort")
    told = proxy.order("ramp", "things.show", "1", "--parity", "0.1").out
    assert "mismatches of 0.1 % at most: nothing has been compared, so shadow it" in told
    proxy.order("ramp", "things.show", "--abort")


def test_parity_is_told_and_counted_anew(proxy: Proxy) -> None:
    assert proxy.order("parity", "things.show").out == "things.show: nothing has been compared.\n"
    reset = proxy.order("parity", "things.show", "--reset", "--why", "release 12").out
    assert reset == "things.show: comparisons are counted anew from now on.\n"
    assert "its comparisons are counted anew, by" in proxy.order("audit", "things.show", "--count", "1").out
    assert proxy.strangler("parity", "nowhere").code == REFUSED
    proxy.order("set", "things.show", "0%")


def test_seeding_what_is_there_changes_nothing(proxy: Proxy) -> None:
    assert "nothing" in proxy.order("seed").out
    assert proxy.order("seed", "--json").json == {"seeded": []}


def test_a_port_in_use_is_a_fault_of_the_configuration(proxy: Proxy, sound: Path) -> None:
    taken = proxy.service.port
    sound.write_text(f"{SOUND}listen: {LOOPBACK}:{taken}\nadmin: {{listen: '{LOOPBACK}:0'}}\n")
    told = strangler("serve", "--config", sound)
    assert told.code == WRONG
    assert f"listen: cannot listen on {LOOPBACK}:{taken}" in told.err


def test_several_workers_without_redis_are_refused_with_the_other_faults(sound: Path, faulty: Path) -> None:
    told = strangler("serve", "--workers", "2", "--config", sound)
    assert told.code == WRONG
    assert "  redis: --workers 2 needs it" in told.err
    told = strangler("serve", "--workers", "2", "--config", faulty)
    assert told.code == WRONG
    assert [fault for fault in ("redis", *FAULTS) if f"  {fault}: " not in told.err] == []


def test_several_workers_find_a_port_in_use_before_one_of_them_is_started(proxy: Proxy, sound: Path) -> None:
    taken, redis = f"{LOOPBACK}:{proxy.service.port}", f"redis: 'redis://{LOOPBACK}:9/1'"
    sound.write_text(f"{SOUND}{redis}\nlisten: {taken}\nadmin: {{listen: '{LOOPBACK}:0'}}\n")
    told = strangler("serve", "--workers", "2", "--config", sound)
    assert told.code == WRONG
    assert f"listen: cannot listen on {taken}" in told.err


def test_an_application_that_no_worker_can_have_is_told_once(sound: Path) -> None:
    sound.write_text(
        f"{SOUND}redis: 'redis://{LOOPBACK}:9/1'\nnative: {{app: 'no_such_module:app'}}\n"
        f"listen: '{LOOPBACK}:{free_port()}'\nadmin: {{listen: '{LOOPBACK}:{free_port()}'}}\n"
    )
    command = [*STRANGLER, "serve", "--workers", "3", "--config", sound]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment({}))
    assert done.returncode == WRONG
    assert done.stderr.count("native.app: cannot import no_such_module:app") == 1
    assert "the first worker did not become ready" in done.stdout


def test_handlers_needs_an_application_and_an_address(sound: Path) -> None:
    for native in ("", "native: {app: 'tests.e2e.sides:native'}", f"native: {{url: 'http://{LOOPBACK}:10'}}"):
        sound.write_text(f"{SOUND}{native}\n")
        told = strangler("handlers", "--config", sound)
        assert told.code == WRONG
        assert "name both" in told.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"['http://{LOOPBACK}:10', 'http://{LOOPBACK}:11']", "names several addresses; say which one to serve"),
        (f"'https://{LOOPBACK}:10'", f"{LOOPBACK}:10 is not plain HTTP at a port"),
        ("'unix:///run/native.sock'", "unix:///run/native.sock is not plain HTTP at a port"),
    ],
)
def test_handlers_wants_to_be_told_where_to_listen_if_the_address_does_not_say_it(
    sound: Path, url: str, words: str
) -> None:
    sound.write_text(f"{SOUND}native: {{app: 'tests.e2e.sides:native', url: {url}}}\n")
    told = strangler("handlers", "--config", sound)
    assert told.code == WRONG
    assert f"native.url: {words}" in told.err
    assert "--listen" in told.err


def test_handlers_serves_the_native_application_until_it_is_told_to_stop(sound: Path) -> None:
    settings = {"DATABASE_URL": f"postgresql://{LOOPBACK}:9/none", "REDIS_URL": f"redis://{LOOPBACK}:9"}
    with handlers_of("handlers.app:app", sound, {**settings, "JWT_SECRET": "x"}) as service:
        assert httpx.get(f"{service.url}/api/v1/conversations", timeout=30).status_code == 401
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == DONE


def test_handlers_never_stops_to_look_through_what_stays(sound: Path) -> None:
    with handlers_of("tests.proxy.apps:looks_back", sound, {}) as service:
        told = httpx.get(service.url, timeout=30).json()
        assert told["old"] > 10_000
        assert told["new"] == YOUNG


def handlers_of(app: str, config: Path, settings: Mapping[str, str]) -> Service:
    """`strangler handlers`, once it answers."""
    port = free_port()
    config.write_text(f"{SOUND}native: {{app: '{app}', url: 'http://{LOOPBACK}:{port}'}}\n")
    service = launch(
        "native",
        [sys.executable, "-m", "proxy.cli", "handlers", "--config", config],
        port=port,
        log=config.with_suffix(".log"),
        environment=environment(settings),
        directory=ROOT,
    )

    def answers() -> bool:
        try:
            return httpx.get(service.url).status_code > 0
        except httpx.TransportError:
            return False

    await_ready(service, answers)
    return service


def test_the_command_is_installed_and_ends_with_its_code(faulty: Path, sound: Path) -> None:
    command = Path(sys.executable).with_name("strangler")
    for config, code in ((sound, DONE), (faulty, WRONG)):
        done = subprocess.run([command, "check", "--config", config], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr


@pytest.fixture
def with_secret(sound: Path, tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef\n")
    sound.write_text(f"{SOUND}secret: {tmp_path / 'secret'}\n")
    return sound


def test_a_tester_s_token_is_made_without_a_running_proxy(with_secret: Path) -> None:
    asked = ["force", "native", "--config", with_secret, "--who", "anna", "--for", "1h"]
    told = strangler(*asked, "--routes", "things.show", "things.list", "--json").json
    (force,) = forces([told["token"].encode()], Secret(b"0123456789abcdef0123456789abcdef"), told["until"] - 3599.0)
    assert force == Force(Side.NATIVE, frozenset({"things.list", "things.show"}), told["until"], "anna")
    assert (told["side"], told["routes"], told["who"]) == ("native", ["things.list", "things.show"], "anna")
    lines = strangler(*asked).out.splitlines()
    assert "native answers every route" in lines[0]
    assert lines[1].startswith("X-Strangler-Force: 1:native:*:")
    assert lines[2] == lines[1].replace("X-Strangler-Force: ", "Cookie: X-Strangler-Force=")


def test_a_token_for_a_route_that_is_not_there_is_refused(with_secret: Path) -> None:
    told = strangler("force", "native", "--config", with_secret, "--who", "a", "--for", "1h", "--routes", "no.such")
    assert (told.code, told.out, "no such route" in told.err) == (REFUSED, "", True)


def test_without_a_secret_no_token_is_made(sound: Path) -> None:
    told = strangler("force", "native", "--config", sound, "--who", "anna", "--for", "1h")
    assert (told.code, told.out, "names no secret" in told.err) == (REFUSED, "", True)
