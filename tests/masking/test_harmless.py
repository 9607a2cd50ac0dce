"""Values that are no secret stay, whatever their name is, and so do names that only look like the name of a secret."""

from __future__ import annotations

import pytest

from discord_logging._masking.masker import SecretMasker

pytestmark = pytest.mark.once

MASKER = SecretMasker()

TEXTS = [
    "token: expired",
    # Regression: the first word of a blank text was asked for, which raised an IndexError.
    'password=\' \' token="  " {"secret": "\t"}',
    "password: must have at least 12 characters",
    "password: ok",
    "signature: mismatch, retrying",
    "session: opened for user root by (uid=0)",
    "random_password.db: Creating...",
    "nginx: auth_request: 401 from upstream",
    "vault: error looking up token: 403",
    "tests/test_auth.py::test_login[token] PASSED",
    "tests/test_auth.py:42: AssertionError",
    "src/auth/session.ts:12:3",
    "    at login (/srv/app/src/auth.js:12:3)",
    "/go/src/shop/token.go:88 +0x1a",
    "shop::auth::token::verify",
    "django.core.signing.BadSignature: no colon found in value",
    "jwt.exceptions.InvalidTokenError: Not enough segments",
    "cookie_name=sid auth_provider=google password_policy=strict sig_alg=RS256 key_id=prod5zy",
    "prompt_tokens: 153 tokens=99 cookies=3 sessions: 12 active",
    "password=<redacted> token=[FILTERED] api_key=${API_KEY} secret={{ vault_secret }} pwd=$PASSWORD",
    "password=%(password)s token=? auth=… session=--",
    'api_key = settings.API_KEY; token = os.environ["TOKEN"]; password = get_password(user)',
    "login(user=user, password=password)",
    '{"password": ["Too short", "Too common"], "token": ["This field is required."]}',
    '{"password": {"type": "string", "minLength": 8}}',
    '{"session": {"duration": 33, "pages": 4}}',
    "  token: str\n  password: str",
    "image: shop/auth:1.2",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db",
    "pam_unix(sudo:auth): authentication failure; PWD=/home/ann ; USER=root",
    "-----BEGIN CERTIFICATE-----\nMIIBkG01rhCFRfbLCp2BQcyYhWCMkL5BkUwRptyJMZi67b7\n-----END CERTIFICATE-----",
    "terraform: random_password.db: Creation complete after 0s",
    "cargo build -p shop-core && gh pr list -p 3",
    "CSRF_TRUSTED_ORIGINS=['https://x'] password_encryption = scram-sha-256",
    "usage: tool [--token TOKEN] [--password PASSWORD]",
    "error: option --password requires a value",
    "the password is wrong, the token was not found and the session is closed",
    "cache_key=571d56c63ec1409f s3_key=in/2026/a.csv primary_key=12 idempotency_key: ord-12-x",
    "order 571d56c6-3ec1-409f-8202-42956f7b3a62 shipped, sha256 93f2eba533f3d26d8b5544cac403b321",
    "https://example.com:8443/path:with:colons@x mongodb://db1:27017,db2:27017/shop",
    "#password:focus { color: #fff }",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "PASS: test_login",
    "PASS: tests/auth/test_token.py",
    "--- PASS: TestSession (0.02s)",
    "duplicate key value\nDETAIL:  Key (session_id)=(42) already exists.",
    "password\n  Field required [type=missing, input_value={'user': 'ann'}, input_type=dict]",
    "      DB_PASSWORD:  <set to the key 'password' in secret 'shop-db'>  Optional: false",
    "API_TOKEN: <set to the key 'api.token' of config map 'shop'>",
    "SyntaxError: Unexpected token: punc (()",
    "Unexpected token: eof",
    "Authorization: Bearer <token>",
    "curl -H 'Authorization: Bearer $API_TOKEN' https://shop.example.com",
    '{"session": {"state": "closed"}}',
    '{"session": {"state": "open", "user": {"status": "active"}, "n": 3}}',
    "secret: projects/p/secrets/n/versions/1",
    "secret: projects/shop-prod/secrets/db_password",
    "token = token or None; password = password or ''",
    'password = password or getpass("Password: ")',
    "if '' == password or 'expired' == token or 'ok' == token_status:",
    "token,count\n",
    "['Basic', 'Digest'] authentication failed: timeout LOGIN page of the shop rendered",
    # A server asks for the password in Base64.
    "smtp: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
    "Authentication failed for ann with method publickey",
    "WIFI:T:nopass;S:home;; WIFI: connected",
    "net use Z: \\\\host\\share /user:ann *",
    "INSERT INTO users (name, password) VALUES (:name, lower(?)), (?, NULL), (%s, DEFAULT)",
    "kafka://broker:9092\nann@example.com wrote",
    '{"auth": {"method": "password", "ok": false}}',
    '{"secrets": [], "tokens": {}, "auth": ()}',
    "session=12 state=closed",
    "unexpected keyword SECRET 'shop'",
    "app.bind('click', 'handler')",
    "auth = auth or self.auth",
    '{"cookie": {"secure": true, "httpOnly": true, "sameSite": "strict"}}',
    "Key (user_id, session_id)=(3, 42) is not present",
    "Parse error: Unexpected token: ')', expected token: identifier",
    "metric=auth.latency value=33 token code=12",
    "password: min 8 characters, max 128",
    "The password for ann is 8 characters long, the token of bob is expired",
    "API_KEY=your_api_key_here",
    "signature=SHA256withRSA",
    "password: !secret db_password",
    "password: !vault |",
    "secret: SecretStr",
    "| token | expires | user |\n|---|---|---|",
    "| user | password policy |\n|---|---|\n| ann | strict |",
]


@pytest.mark.parametrize("text", TEXTS)
def test_harmless_texts_stay(text: str) -> None:
    """A reader needs them to understand what has happened."""
    assert MASKER.mask(text) == text


@pytest.mark.parametrize(
    ("name", "value"), [("tokens", 153), ("token_type", "bearer"), ("session", "closed"), ("key", "a:1")]
)
def test_harmless_values_stay(name: str, value: object) -> None:
    """The items of a mapping are judged like those of a text."""
    assert MASKER.mask_value(name, value) == value


def test_a_name_and_its_value_may_be_two_items() -> None:
    """Headers and the settings of containers come so."""
    pairs = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOST", "value": "db"}]
    assert MASKER.mask_value("env", pairs) == [{"name": "DB_PASSWORD", "value": "***"}, {"name": "HOST", "value": "db"}]


def test_a_key_of_a_mapping_may_hold_a_secret() -> None:
    """A query that was parsed wrongly has its value in the name. Two such names may be alike once they are masked."""
    assert MASKER.mask_value("query", {"token=hunter2": "1"}) == {"token=***": "***"}
    masked = MASKER.mask_value("query", {"token=hunter2 (a)": 1, "token=hunter3 (a)": None, "b": 3})
    assert masked == {"token=*** (a)": "***", "token=*** (a)***": None, "b": 3}
