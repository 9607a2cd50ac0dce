"""A name and its value are recognised in the forms in which people write them."""

from __future__ import annotations

import random
import string
from urllib.parse import quote

import pytest

from discord_logging._masking.forms import _COMPILED, Form
from discord_logging._masking.forms import FORMS as FORMS_BY_SIGN
from discord_logging._masking.masker import SecretMasker

pytestmark = pytest.mark.once

MASKER = SecretMasker()
FRAME = '  File "shop.py", line 12, in login\n    '
PASSWORD = "".join(random.Random(18).choices(string.ascii_letters + string.digits, k=20))  # noqa: S311 - it is no secret

# Each form with SECRET for the value. All the rest stays.
FORMS = [
    "password: str = 'SECRET'",
    "password: Optional[str] = 'SECRET'",
    'var DB_PASSWORD string = "SECRET"',
    'public string AuthToken { get; set; } = "SECRET";',
    "[passphrase] => SECRET",
    '["db_password"]=>\n  string(20) "SECRET"',
    'ds.setPassword("SECRET")',
    "if (TOKEN === 'SECRET')",
    "if csrftoken != 'SECRET':",
    "DB_PASSWORD += SECRET",
    "DB_TOKEN ||= 'SECRET'",
    "ENV API_KEY SECRET",
    "set -gx credentials SECRET",
    "**password:** SECRET",
    "password -> SECRET",
    "password → SECRET",
    "id_token ........ SECRET",
    "password was set to SECRET",
    "Incorrect API key provided: SECRET.",
    "Enter passphrase for key '/k': SECRET",
    "machine host\n  login ann\n  password SECRET",
    "enable secret 5 SECRET",
    '{"name": "accessToken", "value": "SECRET"}',
    '{"value": "SECRET", "name": "accessToken"}',
    "{'Key': 'password', 'Value': 'SECRET'}",
    "- name: DB_PASSWORD\n  value: SECRET",
    '<property name="password" value="SECRET"/>',
    '<property name="password">SECRET</property>',
    "<password>SECRET</password>",
    '<wsse:Password Type="http://x#PasswordText">SECRET</wsse:Password>',
    "<password><![CDATA[SECRET]]></password>",
    "<key>password</key><string>SECRET</string>",
    'Content-Disposition: form-data; name="password"\n\nSECRET\n--b--',
    'variable "password" {\n  default = "SECRET"\n}',
    "password:\n    SECRET",
    "password: |\n  SECRET\nnext: 1",
    "passwords:\n  - SECRET\n",
    "encryption_key = \\\n    'SECRET'",
    "password\n  String should have at most 8 characters [type=string_too_long, input_value='SECRET', input_type=str]",
    "password\uff1dSECRET",
    "password\u00a0=\u00a0SECRET",
    "password&#x3D;SECRET",
    "{&quot;password&quot;: &quot;SECRET&quot;}",
    "next=%2Fcb%3Ftoken%3DSECRET",
    "next=%252Fcb%253Ftoken%253DSECRET",
    '{"body": "{\\"password\\": \\"SECRET\\"}"}',
    r'"{\u0022password\u0022: \u0022SECRET\u0022}"',
    "| user | password |\n|------|----------|\n| ann  | SECRET |",
    " id | password\n----+----------\n  1 | SECRET\n(1 row)",
    "user,password\nann,SECRET\n",
    "user\tpassword\nann\tSECRET\n",
    "│ password │ SECRET │",
    # Code has a literal behind an expression, or before what it is compared with.
    "password = config.get('db') or 'SECRET'",
    "api_key = load() or user.key() or 'SECRET'",
    'token = token or "SECRET"',
    "secret = process.env.KEY || 'SECRET'",
    "pwd = settings.PWD if settings else 'SECRET'",
    f"{FRAME}password = user.password or 'SECRET'",
    "if 'SECRET' == hmac_secret:",
    "assert 'SECRET' == password",
    "return b'SECRET' != self._token",
    "assert 'SECRET' == response.json()['token']",
    "password = 'SECRET' or 'SECRET'",
    "token,SECRET",
    "host,db\npassword,SECRET\nport,1",
    "['bearer', 'SECRET']",
    "Sec-WebSocket-Protocol: bearer, SECRET",
    "> X-Honeycomb-Team: SECRET",
    "'x-honeycomb-team': 'SECRET'",
    "to\u212aen=SECRET",
    "pa\u017f\u017fword: SECRET",
    # Regression: a part of a word in capitals was read as another word.
    "toKen=SECRET",
    "Please use the following password to proceed to installation:\n\nSECRET\n\nThis may also be found at: /x",
    "Your new token is:\n\nSECRET",
    "authentication failed: SECRET",
    "paramiko: Authentication failed for ann with 'SECRET'",
    "Login failed for user bob with SECRET",
    '{"password": {"type": "string", "default": "SECRET", "minLength": 8}}',
    "{'api_key': {'type': 'string', 'enum': ['SECRET']}}",
    "INSERT INTO users (name, password) VALUES ('ann', 'SECRET')",
    "INSERT IGNORE INTO users (name, password) VALUES ('ann', 'SECRET')",
    "REPLACE INTO users (name, password) VALUES ('ann', 'SECRET')",
    "INSERT INTO users (id, name, password) VALUES (uuid(), lower('Ann'), 'SECRET'), (1, 'x', 'SECRET')",
    "INSERT INTO users (name, password) VALUES ('ann', crypt('SECRET', salt()))",
    r"INSERT INTO users (name, password) VALUES (E'it\'s', E'SECRET')",
    "INSERT INTO users (name, password) OUTPUT inserted.id VALUES ('ann', N'SECRET')",
    "INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: ('ann', 'SECRET')]",
    "INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: [('ann', 'SECRET'), ('bob', 'SECRET')]]",
    "INSERT INTO users (name, password) VALUES (%s, %s) RETURNING id; args=('ann', 'SECRET')",
    "INSERT INTO users (name, password) VALUES (%(a)s, %(b)s)]\n[parameters: {'a': 'ann', 'b': 'SECRET'}]",
    "INSERT INTO users (name, password) VALUES (:a, :b) with {'a': 'ann', 'b': 'SECRET'}",
    "INSERT INTO users (name, password) VALUES ($1, $2)\nDETAIL:  parameters: $1 = 'ann', $2 = 'SECRET'",
    "ALTER USER ann WITH PASSWORD 'SECRET'",
    "    login(user, password)\n          │     └ SECRET\n          └ 'ann'",
    "insert_key=SECRET",
    "X-Functions-Key: SECRET",
    "Unseal Key 1: SECRET",
    "user, password = 'ann', 'SECRET'".replace("'ann'", "'***'"),
    "SET PASSWORD FOR 'app' = 'SECRET'",
    "postgres://app:SECRET@db/shop",
    "redis://app:a/b#SECRET@db.example.com/0".replace("a/b#SECRET", "SECRET"),
    "https://maps.example.com/x?key=SECRET&y=1",
    "app:SECRET@tcp(db:3306)/shop",
    "db.example.com:5432:shop:app:SECRET",
    "https://shop.example.com/invite/SECRET",
    '{"ParameterKey": "DBPassword", "ParameterValue": "SECRET"}',
    '{"Parameter": {"Name": "/shop/db/password", "Type": "SecureString", "Value": "SECRET"}}',
    '1700000000.123 [0 10.0.0.1:1234] "AUTH" "ann" "SECRET"',
    "| DB_PASSWORD | SECRET | secret |",
    "https://api.example.com/weather?q=Ulm&appid=SECRET",
    "[SQL: UPDATE users SET name=%s, password=%s WHERE id=%s]\n[parameters: ('ann', 'SECRET', 1)]",
    "https://chat.example.com/hooks/4L1NdcmMf8IXae9LZ/SECRET",
    "sent Basic SECRET== to proxy".replace("SECRET==", "SECRET"),
    "<Cookie sid=SECRET for example.com/>",
]


@pytest.mark.parametrize("form", FORMS)
def test_the_value_and_nothing_else_is_masked(form: str) -> None:
    """The name and all around stays readable."""
    assert MASKER.mask(form.replace("SECRET", PASSWORD)) == form.replace("SECRET", "***")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("pwd = get() or 'hunter2'", "pwd = get() or '***'"),
        ("if 'hunter2' == token:", "if '***' == token:"),
        ("password,word-word12", "password,***"),
        ("pa\u017fsword='hunter2'", "pa\u017fsword='***'"),
        ("simple_bind_s('cn=admin,dc=x','hunter2')", "simple_bind_s('cn=admin,dc=x','***')"),
        ('A001 LOGIN "ann" "hunter2"', 'A001 LOGIN "ann" "***"'),
        ("schtasks /create /ru ann /rp hunter2 /tn x", "schtasks /create /ru ann /rp *** /tn x"),
        ("WIFI:T:WPA;S:home;P:hunter2;;", "WIFI:T:WPA;S:home;P:***;;"),
        (r"WIFI:S:home;T:WPA;P:hunter\;2;H:true;;", "WIFI:S:home;T:WPA;P:***;H:true;;"),
        ("insert into u (password) values (lower('hunter2'))", "insert into u (password) values (lower('***'))"),
        ("insert into u (id, password) values (1, 1234)", "insert into u (id, password) values (1, ***)"),
        ('{"token": {"type": "string", "example": "hunter2"}}', '{"token": {"type": "string", "example": "***"}}'),
        # A shell joins texts that touch.
        (r"password='hunt'\''er2' x", "password='***' x"),
        (r"mysql -p'hunt'\''er2' shop", "mysql -p'***' shop"),
        (r"--password 'hunt'\''er2' x", "--password '***' x"),
        ("user | password\nann | hunter2", "user | password\nann | ***"),
        ("Your password is: hunter2", "Your password is: ***"),
        ("otp code: 482913", "otp code: ***"),
        ("The password for ann is word-word12.", "The password for ann is ***."),
        ("username ann privilege 15 password 7 094f471a1a0a", "username ann privilege 15 password 7 ***"),
        ("gh secret set TOKEN --body hunter2", "gh secret set TOKEN --body ***"),
        ('psk="hunter2"', 'psk="***"'),
        ("250 AUTH LOGIN YW5uOmh1bnRlcjIy", "250 AUTH LOGIN ***"),
        ("self.assertEqual(user.password, 'hunter2')", "self.assertEqual(user.password, '***')"),
        ("hmac.compare_digest(token, b'hunter2')", "hmac.compare_digest(token, b'***')"),
        ('#define API_KEY "hunter2"', '#define API_KEY "***"'),
        ("CREATE SECRET s (TYPE S3, SECRET 'hunter2')", "CREATE SECRET s (TYPE S3, SECRET '***')"),
        ("db:5432:shop:ann:0f1e2d3c4b", "db:5432:shop:ann:***"),
        ('var secret = []byte("hunter2")', 'var secret = []byte("***")'),
        ("requirepass hunter2", "requirepass ***"),
        ("ALTER ROLE ann PASSWORD 'hunter2';", "ALTER ROLE ann PASSWORD '***';"),
        ('api_key: "" => "hunter2"', 'api_key: "" => "***"'),
        ("db.auth('ann', 'hunter2')", "db.auth('ann', '***')"),
        ("AUTH default hunter2", "AUTH default ***"),
        ("response.set_cookie('sid', 'hunter2')", "response.set_cookie('sid', '***')"),
        # Regression: the attributes of an element without a text were skipped.
        ('<credential user="a" secret="hunter2"/>', '<credential user="a" secret="***"/>'),
        # Regression: the word before the value made it a sentence about tokens.
        ('{"Authorization": "Token hunter2"}', '{"Authorization": "***"}'),
        ("Authorization: Token hunter2", "Authorization: ***"),
        ("['Basic', 'YW5uOmh1bnRlcjIy']", "['Basic', '***']"),
        ('{"session": {"state": "open", "id": "hunter2"}}', '{"session": ***}'),
        # A terminal or a mail may break an address.
        ("postgres://app:hunter2\n@db.example.com/x", "postgres://app:***@db.example.com/x"),
        ("amqp://app:hunt\n  er2@db:5672/", "amqp://app:***@db:5672/"),
        ("got ImFubiI:1tA1aH:Dpx2OVfjOFzypalWfq62WmAhGA2JMYpVFXTaALhSOXE in", "got *** in"),
        ("value=ImJvYiI:1sB2cD:kq81ZVfjOFzypalWfq62WmAhGA2 x", "value=*** x"),
    ],
)
def test_a_weak_value_is_masked_where_its_place_is_sure(text: str, masked: str) -> None:
    """A password need not look random."""
    assert MASKER.mask(text) == masked


ROWS = list(dict.fromkeys(form for forms in FORMS_BY_SIGN.values() for form in forms))


@pytest.mark.parametrize("form", ROWS, ids=lambda form: form.example)
def test_each_row_masks_its_example(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is needed: without it, the value is left."""
    assert "hunter2" not in MASKER.mask(form.example).lower()
    for sign, rows in FORMS_BY_SIGN.items():
        others = [compiled for row, compiled in zip(rows, _COMPILED[sign], strict=True) if row != form]
        monkeypatch.setitem(_COMPILED, sign, others)
    assert "hunter2" in SecretMasker().mask(form.example).lower()


@pytest.mark.parametrize("times", range(3))
def test_encoded_texts_are_read_layer_by_layer(times: int) -> None:
    """JSON within an address within an address is encoded several times."""
    text = f'{{"password": "{PASSWORD}"}}'
    for _ in range(times):
        text = quote(text)
    assert PASSWORD not in MASKER.mask(f"next={text}")


@pytest.mark.parametrize("sign", "/?#")
def test_a_password_in_an_address_may_hold_any_sign(sign: str) -> None:
    """People forget to encode it."""
    assert MASKER.mask(f"redis://app:{PASSWORD}{sign}{PASSWORD}@db.example.com/0") == "redis://app:***@db.example.com/0"


@pytest.mark.parametrize("quotes", ["\u2018\u2019", "\u201c\u201d", "\u00ab\u00bb"])
def test_typographic_quotes_are_quotes(quotes: str) -> None:
    """Word processors and chats make them."""
    assert PASSWORD not in MASKER.mask(f"password: {quotes[0]}{PASSWORD} x{quotes[1]}")


def test_hidden_characters_between_name_and_value_hide_nothing() -> None:
    """They cannot be seen, and a text that was pasted contains them."""
    assert PASSWORD not in MASKER.mask(f"pass\u200bword\u2060=\u200b{PASSWORD}")


def test_a_text_of_little_but_names_is_masked_as_a_whole() -> None:
    """The time for such a text would be too long, and nobody can read it."""
    masked = MASKER.mask("ok " + "token=," * 100_000)
    assert masked.startswith("ok token=")
    assert masked.endswith("***")
    assert len(masked) < 100_000
