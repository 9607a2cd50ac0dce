"""Secrets and harmless texts, with the count of those that a masker gets wrong.

The templates are independent of the tables of this package. Values are made at run time, the same ones each time. This
module runs in the environment of the masker, which may have only the standard library.
"""

from __future__ import annotations

import base64
import importlib
import json
import random
import re
import statistics
import string
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_Mask = Callable[[str], str]

_SEED = 4711
_SHOWN = 6
"""The length of the shortest piece of a secret that must not be shown, in characters."""

NAMES = (
    *("password", "db_password", "apiKey", "client_secret", "AUTH_TOKEN", "passwd", "secretKey", "access_token"),
    *("SMTP_PASSWORD", "refresh_token", "X-Api-Key", "privateKey", "userPassword", "bot.token", "session_id"),
)
NOTATIONS = (
    # A name and its value
    "connect {name}={secret}",
    "{name} = '{secret}' # rotated",
    "login failed ({name}={secret}), retrying",
    "{name}: {secret}",
    "using {name}:{secret}; host=db1",
    'config {name}: "{secret}"',
    '{"user": "ann", "password": "{secret}", "n": 1}',
    '{"api_key": "{secret}"}',
    '{"token": "{secret}", "expires_in": 3600}',
    '{"csrf_token": "{secret}"}',
    '{"user": "ann", "{name}": "{secret}", "n": 1}',
    '{"{name}":"{secret}"}',
    '{"request": {"login": {"{name}": "{secret}"}}}',
    '{"headers": [{"name": "{name}", "value": "{secret}"}]}',
    '{"body": "{\\"{name}\\": \\"{secret}\\"}"}',
    "{'user': 'ann', '{name}': '{secret}'}",
    "[('user', 'ann'), ('{name}', '{secret}')]",
    "Client(host='db1', {name}='{secret}', port=1)",
    "{name}: str | None = '{secret}'",
    'const {name} = "{secret}";',
    '{name} := "{secret}"',
    "{name} => '{secret}'",
    "<{name}>{secret}</{name}>",
    '<add key="{name}" value="{secret}" />',
    "env:\n  - name: {name}\n    value: {secret}\n",
    "| id | {name} |\n| --- | --- |\n| 1 | {secret} |",
    "id,{name}\n1,{secret}",
    "INSERT INTO users (id, {name}) VALUES (1, '{secret}')",
    'level=info {name}="{secret}" user=ann',
    "{name}%3D{plain}%26user%3Dann",
    "the {name} is {secret}",
    # Addresses
    "postgresql://ann:{plain}@db1.example.com:5432/shop",
    "could not connect to redis://:{plain}@cache:6379/0",
    "amqp://guest:{plain}@mq1//",
    "mongodb+srv://ann:{plain}@cluster0.example.net/?retryWrites=true",
    "GET https://api.example.com/v1/items?page=2&{name}={plain}",
    "https://{plain}@git.example.com/shop.git",
    "Server=db1;Database=shop;User Id=ann;Password={plain};",
    "jdbc:mysql://db1/shop?user=ann&password={plain}",
    # Headers
    "Authorization: Bearer {plain}",
    "> Authorization: Basic {basic}",
    "Cookie: theme=dark; sid={plain}",
    "Set-Cookie: session={plain}; Path=/; HttpOnly",
    "X-Api-Key: {plain}",
    # Command lines
    "curl -u ann:{plain} https://api.example.com/",
    "mysql -h db1 -uann -p{plain} shop",
    "psql --password={plain} -h db1",
    "docker login -u ann -p {plain} registry.example.com",
    "sshpass -p {plain} ssh ann@db1",
    "redis-cli -h cache -a {plain} ping",
    "export {name}={plain}",
    "subprocess.run(['deploy', '--{name}', '{plain}'])",
)
"""The texts with a name or a place that tells of the secret; each is used with two or three values."""
BARE = (
    "ghp_{alnum:36}",
    "github_pat_{alnum:22}_{alnum:59}",
    "glpat-{alnum:20}",
    "npm_{alnum:36}",
    "pypi-AgEIcHlwaS5vcmc{alnum:120}",
    "AKIA{upper:16}",
    "AIza{alnum:35}",
    "ya29.{alnum:90}",
    "GOCSPX-{alnum:28}",
    "xoxb-{digits:12}-{digits:12}-{alnum:24}",
    "https://hooks.slack.com/services/T{upper:9}/B{upper:9}/{alnum:24}",
    "sk_live_{alnum:24}",
    "SG.{alnum:22}.{alnum:43}",
    "key-{hex:32}",
    "sk-proj-{alnum:60}T3BlbkFJ{alnum:60}",
    "sk-ant-api03-{alnum:93}AA",
    "hf_{letters:34}",
    "dop_v1_{hex:64}",
    "hvs.{alnum:90}",
    "shpat_{hex:32}",
    "glsa_{alnum:32}_{hex:8}",
    "{digits:10}:AA{alnum:33}",
    "https://discord.com/api/webhooks/{digits:18}/{alnum:68}",
    "dapi{hex:32}",
    "lin_api_{alnum:40}",
    "NRAK-{upper:27}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{alnum:40}.{alnum:43}",
)
"""The tokens that are known by their own shape."""
KEYS = (
    "-----BEGIN RSA PRIVATE KEY-----\n{block}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n{block}\n-----END OPENSSH PRIVATE KEY-----",
)
HARMLESS = (
    *(
        "token expired",
        "token: expired",
        "password: required",
        "Password changed for ann",
        "auth: ok",
        "session closed",
    ),
    *("the password is wrong", "invalid API key", "no credentials provided", "secret not found", "cookie: missing"),
    *("token_type=bearer", "password_length=12", "session_timeout=30", "auth_method=ldap", "PASSWORD_FILE=/run/pw"),
    *("max_tokens=4096", "tokens: 1523", "total_tokens=88", "token count: 12", "passwords checked: 240", "keys=7"),
    *("password=***", "password=${DB_PASSWORD}", "token=<redacted>", 'api_key: ""', "secret=None", "password=null"),
    *("password: [FILTERED]", "api_key=os.environ['API_KEY']", "token=settings.TOKEN", "password=get_password()"),
    *("Authorization: Bearer <token>", "csrf token missing", "secret manager started", "authentication failed"),
    *("passport service up", "tokenizer loaded in 3.2 s", "author: ann", "authority=db1", "keyboard layout: de"),
    *("primary_key=4711", "cache_key=user:4711", "partition_key: eu-west", "foreign key violated", "sort key: name"),
    *("KeyError: 'password'", "ValueError: token", "InvalidTokenError", "jwt.exceptions.ExpiredSignatureError"),
    *('File "auth.py", line 88, in login', "auth.js:88:12", "at shop.auth.Token.read(Token.java:41)", "session.py:7"),
    *("node i-{hex:17} is ready", "pod shop-{hex:9}-x2b4k restarted", "vm-{digits:8} stopped", "sha256:{hex:64}"),
    *("request {uuid} took 31 ms", "trace_id={hex:32} span_id={hex:16}", "order {uuid}", "commit {hex:40}"),
    *("etag: {hex:32}", "md5 {hex:32}  shop.tar.gz", "blob {hex:40} {digits:6}", "image shop@sha256:{hex:64}"),
    *("correlation-id: {uuid}", "job {uuid} done in 12.3 s", "user_id={uuid}", "build {digits:8}.{digits:2}"),
    *(
        "GET /api/token 200 12ms",
        "POST /login 401",
        "GET /password/reset?lang=en 200",
        "https://example.com/auth/login",
    ),
    *("postgresql://db1.example.com:5432/shop", "redis://cache:6379/0", "http://ann@example.com/", "ann@example.com"),
    *("https://example.com/a?page=2&sort=name", "s3://backup/2026/shop.sql.gz", "mailto:ann@example.com"),
    *("curl -s https://example.com/", "mysql -h db1 -P 3306 shop", "docker run -p 8080:80 nginx", "ssh -p 22 ann@db1"),
    *("git commit -m 'fix auth'", "tar -xpf shop.tar", "cp -p a b", "pip install tokenizers==0.15"),
    *("2026-01-02T03:04:05Z INFO shop.auth started", "192.168.1.10:54321 connected", "fe80::1ff:fe23:4567:890a up"),
    *("0x7f3a2c1b9d40 freed", "<Token object at 0x7f3a2c1b9d40>", "shop.auth.session: 3 active", "disk 93 % full"),
    *("-----BEGIN CERTIFICATE-----", "ssh-ed25519 is enabled", "TLSv1.3 TLS_AES_256_GCM_SHA384", "pk_live key used"),
    *('{"status": "ok", "n": 3}', '{"token_type": "bearer", "expires_in": 3600}', '{"password": null}'),
    *('{"tokens": 1523}', '{"auth": true}', '{"session": {"state": "closed"}}', '{"id": "{uuid}"}', '{"secret": ""}'),
)
"""The texts in which nothing is secret."""

_ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "hex": "0123456789abcdef",
    "digits": string.digits,
    "base64": string.ascii_letters + string.digits + "+/",
}
_SYLLABLES = ("ba", "den", "kor", "lu", "mi", "nor", "pe", "ras", "ti", "vel")
_SLOT = re.compile(r"\{(name|block|uuid|secret|plain|basic|alnum|letters|upper|hex|digits|base64)(?::(\d+))?\}")


class Text(NamedTuple):
    """A text, with the secret in it.

    Attributes:
        text: The text. A text that begins with `{"` is the JSON of a dict.
        kind: The template that it was made from.
        secret: The secret, or "" in a harmless text.
    """

    text: str
    kind: str
    secret: str = ""


def texts() -> Iterator[Text]:
    """Yield all texts, the same ones each time."""
    made = random.Random(_SEED)  # noqa: S311 - the values are to be the same each time
    for number, kind in enumerate(NOTATIONS):
        for turn in range(2 + number % 2):
            name = NAMES[(3 * number + turn) % len(NAMES)]
            # Addresses and commands take no odd signs.
            makers = (_random, _memorable, _odd) if "{secret}" in kind else (_random, _memorable)
            secret = makers[turn % len(makers)](made)
            basic = base64.b64encode(f"ann:{secret}".encode()).decode()
            values = {"name": name, "secret": secret, "plain": secret, "basic": basic}
            text = "".join(values.get(part, part) for part in _SLOT.split(kind) if part)
            yield Text(text, kind, basic if "{basic}" in kind else secret)
    for kind in BARE:
        secret = _fill(kind, made)
        yield Text(f"worker 3 got {secret} from upstream", kind, secret.rpartition("/")[2])
    for kind in KEYS:
        secret = "\n".join(_fill("{base64:64}", made) for _ in range(6))
        yield Text(kind.replace("{block}", secret), kind, secret)
    for kind in HARMLESS:
        yield Text(_fill(kind, made), kind)


def _fill(template: str, made: random.Random) -> str:
    def value(slot: re.Match[str]) -> str:
        if slot[1] == "uuid":
            return str(uuid.UUID(int=made.getrandbits(128), version=4))
        return "".join(made.choices(_ALPHABETS[slot[1]], k=int(slot[2])))

    return _SLOT.sub(value, template)


def _random(made: random.Random) -> str:
    return _fill("{alnum:24}", made)


def _memorable(made: random.Random) -> str:
    first, second = ("".join(made.choices(_SYLLABLES, k=3)) for _ in range(2))
    return f"{first}-{second}{made.randrange(10, 99)}"


def _odd(made: random.Random) -> str:
    return "".join(f"{_fill('{alnum:3}', made)}{made.choice('!$%#^*~@')}" for _ in range(4)) + "Q"


@contextmanager
def _ours() -> Iterator[_Mask]:
    yield importlib.import_module("discord_logging").SecretMasker().mask


@contextmanager
def _detect_secrets() -> Iterator[_Mask]:
    scan: Any = importlib.import_module("detect_secrets.core.scan")
    settings: Any = importlib.import_module("detect_secrets.settings")

    def hits(line: str) -> Iterator[Any]:
        plugins = {plugin.secret_type: plugin for plugin in settings.get_plugins()}
        for hit in scan.scan_line(line):
            # The function yields every word, and its caller is to compare the entropy with the limit of the plugin.
            limit = getattr(plugins[hit.type], "entropy_limit", None)
            if limit is None or plugins[hit.type].calculate_shannon_entropy(hit.secret_value) > limit:
                yield hit

    def mask(text: str) -> str:
        masked = text
        for hit in [hit for line in text.splitlines() for hit in hits(line)]:
            # The hit of a key is its first line, which is taken for the whole.
            is_key = hit.type == "Private Key"
            masked = masked.partition(hit.secret_value)[0] if is_key else masked.replace(hit.secret_value, "***")
        return masked

    with settings.default_settings():
        yield mask


@contextmanager
def _sentry() -> Iterator[_Mask]:
    scrubber = importlib.import_module("sentry_sdk.scrubber").EventScrubber()

    def mask(text: str) -> str:
        extra: Any = json.loads(text) if text.startswith('{"') else {"text": text}
        before = json.dumps(extra)
        scrubber.scrub_event({"extra": extra})
        after = json.dumps(extra, default=lambda _: "***")
        return text if after == before else after

    yield mask


_MAKE = {"ours": _ours, "detect-secrets": _detect_secrets, "sentry-sdk": _sentry}


def is_shown(secret: str, text: str) -> bool:
    """Tell whether a piece of the secret stands in the text."""
    return any(secret[start : start + _SHOWN] in text for start in range(max(len(secret) - _SHOWN, 0) + 1))


def measure(name: str, *, repeat: int, report: Callable[..., None]) -> None:
    """Count the mistakes of a masker, and time it. Each round has a new masker, because ours remembers short texts."""
    cases = list(texts())
    rounds = []
    masked: list[str] = []
    for _ in range(repeat + 1):
        with _MAKE[name]() as mask:
            began = time.process_time()
            masked = [mask(case.text) for case in cases]
            rounds.append((time.process_time() - began) / len(cases))
    pairs = list(zip(cases, masked, strict=True))
    report(
        secrets=sum(bool(case.secret) for case in cases),
        kinds=len({case.kind for case in cases if case.secret}),
        harmless=sum(not case.secret for case in cases),
        leaks=[case.text for case, text in pairs if case.secret and is_shown(case.secret, text)],
        changed=[case.text for case, text in pairs if not case.secret and case.text != text],
        # The first round loads and compiles.
        seconds=statistics.median(rounds[1:]),
    )
