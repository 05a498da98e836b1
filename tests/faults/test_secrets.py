"""P8: secrets reach the receiver and nothing else, however deliveries fail."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import socket
import ssl
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus

from pipeline.receiver.server import Receiver
from pipeline.receiver.verify import check_request
from tests.kit.programs.jobs import Job, accounted, ready
from tests.kit.programs.run import Bench, until
from tests.kit.receivers.certificates import Certificates, server_tls

CORE = "c4n4ry"
"""In every secret value, in a form that no encoding changes."""
SECRETS = {
    name: f"{CORE}/{name.lower()}+& é"
    for name in ("PATH_SECRET", "QUERY_SECRET", "BODY_SECRET", "HMAC_SECRET", "CLIENT_SECRET")
} | {
    name: f"{CORE}-{name.lower()}"
    for name in ("HEADER_SECRET", "USER_SECRET", "PASSWORD_SECRET", "BEARER_SECRET", "KEY_SECRET")
}
SIGNING = f"whsec_{base64.b64encode(f'{CORE}-signing-key-of-32-bytes-len'.encode()).decode()}"
BASIC = base64.b64encode(f"{SECRETS['USER_SECRET']}:{SECRETS['PASSWORD_SECRET']}".encode()).decode()
TOKEN = f"{CORE}-token"
FORBIDDEN = [CORE, BASIC, BASIC.rstrip("="), SIGNING.removeprefix("whsec_"), SIGNING[10:40]]

REQUEST = """\
  query: {{key: "${{QUERY_SECRET}}", n: "{{{{ event.id }}}}"}}
  headers: {{X-Custom: "v ${{HEADER_SECRET}}"}}
  body: {{secret: "${{BODY_SECRET}}", event: "{{{{ event.id }}}}"}}
  {more}
delivery: {{retry: {{min_delay: 100ms, max_age: {max_age}}}}}
"""
CREDENTIALS = {
    "basic": ("auth: {basic: {username: '${USER_SECRET}', password: '${PASSWORD_SECRET}'}}", [BASIC]),
    "bearer": ("auth: {bearer: {token: '${BEARER_SECRET}'}}", [f"Bearer {SECRETS['BEARER_SECRET']}"]),
    "header": ("auth: {header: {name: X-Key, value: '${KEY_SECRET}'}}", [SECRETS["KEY_SECRET"]]),
    "signed": ("signature: {standard_webhooks: {secrets: ['${SIGNING_SECRET}']}}", [SIGNING]),
    "hmac": ("signature: {hmac: {header: X-Sum, secret: '${HMAC_SECRET}'}}", [SECRETS["HMAC_SECRET"]]),
    "form": ("encoding: form", []),
    "oauth2": (
        "auth: {oauth2: {token_url: '<token>', client_id: us, client_secret: '${CLIENT_SECRET}'}}",
        [f"Bearer {TOKEN}"],
    ),
}
"""How a webhook authenticates, and what its receiver could say back."""
ANSWERS = {"well": 200, "unauthorised": 401, "failing": 500, "missing": 404, "odd": 302}
PATH = quote(SECRETS["PATH_SECRET"], safe="/+&")


def echo(credential: str) -> str:
    """Return an answer that shows back all that the receiver was sent, plain and encoded."""
    everywhere = [SECRETS[f"{place}_SECRET"] for place in ("PATH", "QUERY", "BODY", "HEADER")]
    encoded = [quote(value, safe="") for value in everywhere] + [quote_plus(value) for value in everywhere]
    dumped = json.dumps(SECRETS["BODY_SECRET"])
    return " ".join(["you sent", *CREDENTIALS[credential][1], *everywhere, *encoded, dumped])


def configured(
    folder: Path, receiver: Receiver, answers: dict[str, int], max_age: str, **more_places: str
) -> Bench:
    """Return a bench with every credential towards every kind of answer, and to a port that is closed."""
    bench = Bench(folder, environment={**SECRETS, "SIGNING_SECRET": SIGNING})
    bench.settings = bench.settings.replace("shards: 2", "shards: 2, log: {level: debug}")
    refused = {"status": 401, "body": f"{SECRETS['CLIENT_SECRET']} {quote(SECRETS['CLIENT_SECRET'])}"}
    script: dict[str, object] = {
        f"/{place}/{credential}/{PATH}": {"status": status, "body": echo(credential)}
        for place, status in answers.items()
        for credential in CREDENTIALS
    }
    script["/token"] = {"status": 200, "body": json.dumps({"access_token": TOKEN})}
    receiver.answer({**script, "/no-token": refused})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    places = {place: receiver.url(f"/{place}") for place in answers}
    places |= {"absent": f"{closed}/absent", **more_places}
    for place, url in places.items():
        for credential, (more, _) in CREDENTIALS.items():
            text = REQUEST.format(
                more=more.replace("<token>", receiver.url("/no-token" if place == "absent" else "/token")),
                max_age=max_age,
            )
            bench.webhook(f"{place}-{credential}", f"{url}/{credential}/${{PATH_SECRET}}", text)
    return bench


def unknown_authority(folder: Path) -> ssl.SSLContext:
    """Return a server's TLS with a certificate that nobody trusts."""
    return server_tls(*Certificates.make(folder).issue("server"))


def leaks(places: dict[str, str]) -> list[str]:
    """Return where a secret is to be seen, with what is around it."""
    return [
        f"{word} in {place}: ...{said[max(0, said.find(word) - 100) :][:200]}"
        for place, said in places.items()
        for word in FORBIDDEN
        if word in said
    ]


def settled(bench: Bench) -> bool:
    counts = accounted(bench)
    return bool(counts) and all(each["matched"] and not each["pending"] for each in counts.values())


def stored(bench: Bench) -> dict[str, str]:
    """Return every file of the state directory."""
    files = (path for path in bench.state.rglob("*") if path.is_file())
    return {str(path.relative_to(bench.state)): path.read_bytes().decode("latin-1") for path in files}


def test_a_canary_in_every_secret_field_reaches_the_receiver_and_nothing_else(tmp_path: Path):
    with Receiver() as receiver, Receiver(tls=unknown_authority(tmp_path)) as strange:
        bench = configured(tmp_path, receiver, ANSWERS, "3s", tls=strange.url("/tls"))
        bench.append({"id": "e1"})
        with Job(bench, "--metrics", "0") as job:
            ready(bench, job)
            until(lambda: settled(bench))
            places = {path: get(job, path) for path in ("/status", "/metrics")}
            places["status of the running job"] = bench.hookline("status")
            job.stop()
        for name, counts in accounted(bench).items():
            assert counts["delivered" if name.startswith("well-") else "dead"] == 1, name
        letters = bench.hookline("dlq", "list", "--json", "--limit", 1000)
        places |= {
            f"dlq show {letter['webhook']}": bench.hookline("dlq", "show", letter["id"]) for letter in letters
        }
        places |= {
            "status --json": str(bench.hookline("status", "--json")),
            "dlq list": bench.hookline("dlq", "list"),
            "dlq list --json": str(letters),
            "dlq export": bench.hookline("dlq", "export"),
            "stderr": job.said,
            "stdout": job.out.read_text(),
        }
        assert leaks(places | stored(bench)) == []
        assert {letter["webhook"].partition("-")[0] for letter in letters} >= {
            "unauthorised",
            "absent",
            "tls",
        }
        for letter in letters:
            assert "${BODY_SECRET}" in letter["request"]["body"].replace("%24%7B", "${").replace("%7D", "}")
            if letter["webhook"].partition("-")[0] in ANSWERS:
                assert "you sent" in letter["response"]
        check_arrivals(receiver)


def test_what_waits_on_disk_and_in_the_journal_holds_no_secret(tmp_path: Path):
    with Receiver() as receiver:
        bench = configured(tmp_path, receiver, {"failing": 503}, "1h")
        bench.append({"id": "e1"})
        with Job(bench) as job:
            until(lambda: len(bench.listed("outbox")) == 2 * len(CREDENTIALS))
            until(lambda: len(receiver.requests) > 20)

            def is_stopped_with_a_journal() -> bool:
                job.send_signal(signal.SIGSTOP)
                found = any("journal" in name for name in stored(bench))
                if not found:
                    job.send_signal(signal.SIGCONT)  # just committed
                return found

            until(is_stopped_with_a_journal)
            job.kill()
        places = {"outbox list": str(bench.listed("outbox")), "stderr": job.said}
        assert "${BODY_SECRET}" in places["outbox list"]
        assert leaks(places | stored(bench)) == []


def get(job: Job, path: str) -> str:
    """Return what the running job serves."""
    port = job.said.partition('"address":"127.0.0.1:')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def check_arrivals(receiver: Receiver) -> None:
    """Every secret came to the receiver that was to get it, in its place."""
    well = {
        credential: next(r for r in receiver.requests if r.path == f"/well/{credential}/{PATH}")
        for credential in CREDENTIALS
    }
    assert well["basic"].headers["authorization"] == f"Basic {BASIC}"
    assert well["bearer"].headers["authorization"] == f"Bearer {SECRETS['BEARER_SECRET']}"
    assert well["oauth2"].headers["authorization"] == f"Bearer {TOKEN}"
    assert well["header"].headers["x-key"] == SECRETS["KEY_SECRET"]
    assert check_request(well["signed"].headers, well["signed"].body, [SIGNING], time.time()) is None
    digest = hmac.digest(SECRETS["HMAC_SECRET"].encode(), well["hmac"].body, "sha256").hex()
    assert well["hmac"].headers["x-sum"] == f"sha256={digest}"
    for credential, request in well.items():
        assert parse_qs(request.query)["key"] == [SECRETS["QUERY_SECRET"]]
        assert request.headers["x-custom"] == f"v {SECRETS['HEADER_SECRET']}"
        form = credential == "form"
        body = parse_qs(request.body.decode())["secret"][0] if form else json.loads(request.body)["secret"]
        assert body == SECRETS["BODY_SECRET"]
