"""The judge on a network: a server that rates, is busy, refuses, or answers nonsense."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from harness.bench import write_bench, write_lines
from harness.scripted_model_server import (
    Act,
    ScriptedModelServer,
    json_answer,
    scripted_model_server,
    whole,
)
from servers import free_port
from servers.certificates import Authority

from cli.evaluate import evaluate
from core.errors import PermanentError, SettingsError, TransientError
from core.settings_file import load
from model.chat_client import ChatClient, retry_seconds
from model.evaluate.judge import Patience, ask_judge
from model.evaluate.mbench import read_bench, requests_for

QUICK = Patience(max_attempts=3, first_wait_seconds=0.01)


@pytest.fixture
def server() -> Iterator[ScriptedModelServer]:
    with scripted_model_server() as made:
        made.act = whole("8 4\nBecause.")
        yield made


class Site:
    """A bench, answers to it, and a client of a judge."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.bench, self.answers = write_bench(folder, (7, 8, 9))
        self.replies = folder / "replies.jsonl"
        self.client = ChatClient(url, key="s3cret", connect_seconds=2.0, time_limit_seconds=5.0)

    def ask(self, **options: Any) -> None:
        asked = requests_for(read_bench(self.bench), self.answers, "j")
        ask_judge(self.client, asked, self.replies, **{"patience": QUICK, **options})

    def kept(self) -> dict[str, str]:
        lines = self.replies.read_text(encoding="utf-8").split("\n")
        records = [json.loads(line) for line in lines if line]
        return {record["custom_id"]: record["text"] for record in records}


@pytest.fixture
def site(server: ScriptedModelServer, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, server.url)
    yield made
    made.client.close()


def asked_of(body: dict[str, Any]) -> str:
    """Return which question a request is about."""
    (found,) = re.findall(r"answer (\d+)", body["messages"][0]["content"])
    return str(found)


def by_question(acts: dict[str, Act]) -> Act:
    """Act by the question that is asked, and rate where nothing is said of it."""
    return lambda client, body: acts.get(asked_of(body), whole("8 4"))(client, body)


def one_after_another(*acts: Act) -> Act:
    """Act by how often there was a request; the last goes on."""
    left = list(acts)

    def act(client: socket.socket, body: dict[str, Any]) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(client, body)

    return act


def run(site: Site, url: str, *arguments: str, judge: str = "") -> Any:
    config = site.folder / "taqrir.toml"
    config.write_text(judge or f'[judge]\nurl = "{url}"\nmodel = "j"\nkey = "s3cret"\n')
    command = ["mbench", str(site.bench), str(site.answers), "--config", str(config), *arguments]
    return CliRunner().invoke(evaluate, command)


def test_the_judge_of_the_settings_is_sent_what_the_offline_file_holds_and_the_score_is_shown(
    server: ScriptedModelServer, site: Site
) -> None:
    offline = site.folder / "asked.jsonl"
    assert run(site, server.url, "--requests", str(offline)).exit_code == 0
    assert server.bodies == []

    told = run(site, server.url, "--judge", "--replies", str(site.replies))

    assert told.exit_code == 0, told.exception
    assert "50.000" in told.stdout
    assert "3 ratings by j, 0 not readable" in told.stdout
    assert "judged 3 of 3" in told.stderr
    held = [json.loads(line)["body"] for line in offline.read_text(encoding="utf-8").splitlines()]
    assert sorted(server.bodies, key=asked_of) == held
    assert (held[0]["model"], held[0]["temperature"]) == ("j", 0)
    assert all("Bearer s3cret" in head for head in server.heads)
    # The same command again asks nobody.
    again = run(site, server.url, "--judge", "--replies", str(site.replies))
    assert again.stdout == told.stdout
    assert len(server.bodies) == 3


def test_without_a_judge_in_the_settings_nothing_is_sent(
    server: ScriptedModelServer, site: Site
) -> None:
    told = run(site, server.url, "--judge", "--replies", str(site.replies), judge="[model]\n")
    assert isinstance(told.exception, SettingsError)
    assert "nothing was sent" in str(told.exception)
    assert server.heads == []
    assert not site.replies.exists()


@pytest.mark.parametrize(
    "options",
    [["--judge"], [], ["--requests", "a", "--replies", "b"], ["--judge", "--requests", "a"]],
)
def test_what_is_wanted_must_be_said(
    server: ScriptedModelServer, site: Site, options: list[str]
) -> None:
    assert run(site, server.url, *options).exit_code == 2
    assert server.heads == []


def test_texts_go_to_the_judge_itself_whatever_proxy_the_environment_names(
    server: ScriptedModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    site = Site(tmp_path, server.url)
    site.ask()
    site.client.close()
    assert len(server.bodies) == 3


def test_replies_that_are_there_are_not_asked_for_again(
    server: ScriptedModelServer, site: Site
) -> None:
    body = {"choices": [{"message": {"content": "9 9"}}]}
    held = [
        {"custom_id": "7", "response": {"body": body}},
        # What a batch interface writes of a request that failed is no reply.
        {"custom_id": "8", "response": None, "error": {"code": "server_error"}},
        # A person says that this one is not to be asked.
        {"custom_id": "9", "text": ""},
        {"custom_id": "of another bench", "text": "1 1"},
    ]
    write_lines(site.replies, held)
    told: list[int] = []
    site.ask(on_reply=told.append)
    assert [asked_of(body) for body in server.bodies] == ["8"]
    assert told == [3]


def test_a_busy_judge_is_asked_again_when_it_says_and_one_in_trouble_a_little_later(
    server: ScriptedModelServer, site: Site
) -> None:
    moments: list[float] = []
    busy = json_answer(429, {}, "Retry-After: 1\r\n")

    def timed(client: socket.socket, body: dict[str, Any]) -> None:
        moments.append(time.monotonic())
        act(client, body)

    act = one_after_another(busy, whole("8 4"))
    trouble = one_after_another(json_answer(503, {}), json_answer(200, {}), whole("6 3"))
    server.act = by_question({"7": timed, "8": trouble})
    site.ask()
    assert site.kept() == {"7": "8 4", "8": "6 3", "9": "8 4"}
    first, second = moments
    assert second - first >= 1


def test_a_judge_that_stays_away_ends_the_run_and_the_next_one_asks_for_the_rest(
    server: ScriptedModelServer, site: Site
) -> None:
    server.act = by_question({"8": json_answer(503, {"error": "answer 8"})})
    with pytest.raises(
        TransientError, match=r"Question 8: The model server answered 503\."
    ) as told:
        site.ask(at_once=1)
    assert "does the rest" in str(told.value)
    assert [asked_of(body) for body in server.bodies].count("8") == QUICK.max_attempts
    assert set(site.kept()) == {"7"}

    server.act, server.bodies = whole("5 5"), []
    site.ask()
    assert sorted(map(asked_of, server.bodies)) == ["8", "9"]
    assert site.kept() == {"7": "8 4", "8": "5 5", "9": "5 5"}


def test_a_quota_that_is_used_up_is_not_waited_for(server: ScriptedModelServer, site: Site) -> None:
    server.act = json_answer(429, {}, "Retry-After: 3600\r\n")
    with pytest.raises(TransientError, match="429"):
        site.ask(at_once=1)
    assert len(server.bodies) == 1


def test_a_refusal_ends_the_run_with_its_question_and_quotes_nobody(
    server: ScriptedModelServer, site: Site
) -> None:
    server.act = json_answer(401, {"error": {"message": "Incorrect API key"}})
    with pytest.raises(PermanentError, match=r"Question 7: .* 401: Incorrect API key"):
        site.ask(at_once=1)
    assert len(server.bodies) == 1
    server.act = json_answer(400, {"error": {"message": "content filter: A mass ( Figure 3 ) ."}})
    with pytest.raises(PermanentError, match=r"refused with 400\. ") as told:
        site.ask(at_once=1)
    assert "mass" not in str(told.value)


def test_who_is_asked_already_is_heard_when_the_run_stops(
    server: ScriptedModelServer, site: Site
) -> None:
    refused = threading.Event()

    def late(client: socket.socket, body: dict[str, Any]) -> None:
        assert refused.wait(5)
        time.sleep(0.1)
        whole("7 7")(client, body)

    def refuse(client: socket.socket, body: dict[str, Any]) -> None:
        json_answer(403, {})(client, body)
        refused.set()

    server.act = by_question({"7": late, "8": refuse})
    with pytest.raises(PermanentError, match="Question 8"):
        site.ask(at_once=2)
    assert site.kept()["7"] == "7 7"


def test_so_many_are_asked_at_once_and_no_more(server: ScriptedModelServer, site: Site) -> None:
    write_bench(site.folder, (1, 2, 3, 4))
    together, inside, most = threading.Barrier(2), [0], [0]
    lock = threading.Lock()

    def act(client: socket.socket, body: dict[str, Any]) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        together.wait(5)
        with lock:
            inside[0] -= 1
        whole("8 4")(client, body)

    server.act = act
    site.ask(at_once=2)
    assert most == [2]


def test_a_reply_to_another_request_is_not_taken_for_this_ones(
    server: ScriptedModelServer, site: Site
) -> None:
    site.ask()
    server.bodies.clear()
    other = [{"question_id": n, "text": f"another answer {n}"} for n in (7, 8, 9)]
    write_lines(site.answers, other)
    with pytest.raises(PermanentError, match=r"the reply to question \d was given to another"):
        site.ask()
    assert server.bodies == []


def test_a_reply_of_another_judge_is_not_taken_for_this_ones(
    server: ScriptedModelServer, site: Site
) -> None:
    write_lines(site.replies, [{"custom_id": "8", "judge": "k", "text": "9 9"}])
    with pytest.raises(PermanentError, match="question 8 is by k, and j is asked now"):
        site.ask()
    assert server.bodies == []


def test_a_line_that_a_kill_cut_off_is_asked_for_again(
    server: ScriptedModelServer, site: Site
) -> None:
    site.ask(at_once=1)
    whole_file = site.replies.read_bytes()
    server.bodies.clear()
    site.replies.write_bytes(whole_file[:-10])
    site.ask()
    assert [asked_of(body) for body in server.bodies] == ["9"]
    assert site.replies.read_bytes() == whole_file


@pytest.mark.parametrize("content", ["My notes\nand more", '{"custom_id": "7"\n{"custom_id": "8"}'])
def test_a_file_of_something_else_is_named_and_nobody_is_asked(
    server: ScriptedModelServer, site: Site, content: str
) -> None:
    site.replies.write_text(content)
    with pytest.raises(PermanentError, match=r"replies\.jsonl:1: this is no JSON"):
        site.ask()
    assert site.replies.read_text().startswith(content)
    assert server.bodies == []


def test_a_file_that_cannot_be_written_is_named(site: Site) -> None:
    site.replies = site.folder / "nowhere" / "replies.jsonl"
    with pytest.raises(PermanentError, match="No such file or directory"):
        site.ask()


def test_a_reply_that_is_no_rating_is_kept_counted_and_named(
    server: ScriptedModelServer, site: Site
) -> None:
    odd = "Good\u2028answers:\x85 8 of 10\n8 4"
    server.act = by_question({"8": whole(odd), "9": whole("")})
    told = run(site, server.url, "--judge", "--replies", str(site.replies), "--format", "json")
    assert told.exit_code == 0, told.exception
    assert site.kept()["8"] == odd
    content = json.loads(told.stdout)
    assert content["unread"] == ["8", "9"]
    assert content["counts"]["all"] == 1


def test_a_judge_behind_https_is_trusted_by_the_authority_of_the_settings_alone(
    site: Site,
) -> None:
    authority = Authority(site.folder / "ca")
    pair = authority.issue("judge")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with scripted_model_server(context) as server:
        server.act = whole("8 4")
        judge = f'[judge]\nurl = "{server.url}"\nmodel = "j"\nmax_attempts = 1\n'
        arguments = ("--judge", "--replies", str(site.replies))
        told = run(site, "", *arguments, judge=judge)
        assert isinstance(told.exception, TransientError)
        assert server.bodies == []
        trusted = f'{judge}[judge.tls]\ntrusted = "ca/authority.pem"\n'
        assert "50.000" in run(site, "", *arguments, judge=trusted).stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('options = {model = "other"}', "model is a setting of its own"),
        ('tls = {trusted = "a.pem"}', "needs an https url"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, more: str, words: str
) -> None:
    config = tmp_path / "taqrir.toml"
    config.write_text(f'[judge]\nurl = "http://judge/v1"\nmodel = "j"\n{more}\n')
    with pytest.raises(SettingsError, match=words):
        load(config, {})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("Thu, 26 Nov 2026 14:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 13:00:00 GMT", 0),
        ("Thu, 26 Nov 2026 14:00:30", None),
        ("soon", None),
        ("-1", None),
        ("٧", None),
        ("", None),
    ],
)
def test_a_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_seconds(value, lambda: datetime(2026, 11, 26, 14, tzinfo=UTC)) == seconds
