"""A name and its value are recognised in the forms in which people write them."""

from __future__ import annotations

import random
import string
from urllib.parse import quote

import pytest

from discord_logging._masking.masker import SecretMasker

MASKER = SecretMasker()
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
    'Content-Disposition: form-data; name="password"\r\n\r\nSECRET\r\n--b--'.replace("\r\n", "\n"),
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
    "INSERT INTO users (name, password) VALUES ('ann', 'SECRET')",
    "ALTER USER ann WITH PASSWORD 'SECRET'",
    "    login(user, password)\n          │     └ 'SECRET'\n          └ 'ann'".replace("'SECRET'", "SECRET"),
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
    "sent Basic SECRET== to proxy".replace("SECRET==", "SECRET"),
    "<Cookie sid=SECRET for example.com/>",
]


@pytest.mark.parametrize("form", FORMS)
def test_the_value_and_nothing_else_is_masked(form: str) -> None:
    """The name and all around stays readable."""
    assert MASKER.mask(form.replace("SECRET", PASSWORD)) == form.replace("SECRET", "***")


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
