"""Secrets in text and in values are masked, and nothing else is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from discord_logging._masking.harmless import is_harmless_text
from discord_logging._masking.masker import SecretMasker
from discord_logging._masking.named import _METAVAR, _SCHEME
from discord_logging._masking.names import DEFAULT_REDACT
from discord_logging._records.values import freeze_value, show_value

if TYPE_CHECKING:
    from collections.abc import Callable

MASKER = SecretMasker()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nhunter2==\n-----END RSA PRIVATE KEY-----"
FRAME = '  File "shop.py", line 12, in login\n    '
LONG = 25_000

MASKED = [
    ("password=hunter2", "password=***"),
    ("DB_PASSWORD = hunter2, user = bob", "DB_PASSWORD = ***, user = bob"),
    ("stripeApiKey: abc x-auth-token: abc", "stripeApiKey: *** x-auth-token: ***"),
    ("API_KEY_2=abc Api Key=abc oldPassword1=abc", "API_KEY_2=*** Api Key=*** oldPassword1=***"),
    ("Login(password=hunter2)", "Login(password=***)"),
    ("Server=x;Password=a,b;User ID=sa", "Server=x;Password=***;User ID=sa"),
    ("params[password]=abc&x=1", "params[password]=***&x=1"),
    ("<b>token=abc</b>", "<b>token=***</b>"),
    ("auth=Bearer abc x", "auth=*** x"),
    ("{'password': 'hun\\'ter2', 'user': 'bob'}", "{'password': '***', 'user': 'bob'}"),
    ("{b'password': b'hunter2'}", "{b'password': b'***'}"),
    ('{"password":"hunter2","n":[1]}', '{"password":"***","n":[1]}'),
    ('{"password": 1234, "n": 1}', '{"password": ***, "n": 1}'),
    (r'"{\"password\": \"hun\\\"ter2\", \"n\": 1}"', r'"{\"password\": \"***\", \"n\": 1}"'),
    (r'"{\"password\": \"cut", "n": 1}', r'"{\"password\": \"***", "n": 1}'),
    ('"{""password"": ""hunter2""}"', '"{""password"": ***""}"'),
    ("password='''hunter2'''", "password='''***'''"),
    ('password = """\nhunter2\n""" x', 'password = """***""" x'),
    ("UPDATE u SET password='a'' b' WHERE 1", "UPDATE u SET password='***' WHERE 1"),
    ("Server=x;Password=correct horse battery;Timeout=3", "Server=x;Password=***;Timeout=3"),
    ("UID=app;PWD={a;b};Encrypt=yes", "UID=app;PWD=***;Encrypt=yes"),
    ("password=none,hunTer2 x", "password=*** x"),
    ("['mysql', '--password=a b c', 'x']", "['mysql', '--password=***', 'x']"),
    ("password=<x>k9 y", "password=*** y"),
    ('"user","password"\n"ann","hun,ter2"', '"user","password"\n"ann","***"'),
    ('password: "correct horse battery staple"', 'password: "***"'),
    ("password: correct horse battery staple", "password: *** horse battery staple"),
    ("password=admin", "password=***"),
    ("password=hunter2::", "password=***::"),
    ("password=hunter2, ", "password=***, "),
    ("<password/>hello</x>", "<password/>hello</x>"),
    ("password='cut here\nnext", "password='***\nnext"),
    ("password='cut here", "password='***"),
    ("'cookies': {'a': 'b}'}, 'n': 1", "'cookies': ***, 'n': 1"),
    ("auth=('bob', 'it\\'s') now", "auth=*** now"),
    ("auth=[don't see", "auth=***"),
    ("Authorization: Bearer abc def\nHost: x", "Authorization: ***\nHost: x"),
    ('Set-Cookie: a="b"; c=d\\r\\nHost: x', "Set-Cookie: ***\\r\\nHost: x"),
    ("curl -H 'Authorization: Bearer abc' https://a.b", "curl -H 'Authorization: ***' https://a.b"),
    ("curl -H 'Cookie: a=b", "curl -H 'Cookie: ***"),
    ("[(b'cookie', b'a=b'), (b'host', b'x')]", "[(b'cookie', b'***'), (b'host', b'x')]"),
    ("mysql --db-password hunter2 -h x", "mysql --db-password *** -h x"),
    ("['mysql', '--password', 'hunter2', 'x']", "['mysql', '--password', '***', 'x']"),
    ("GET /a?token=abc&x=1 next=%3Ftoken%3Dabc", "GET /a?token=***&x=1 next=%3Ftoken%3D***"),
    ("postgres://bob:hunter2@host/db", "postgres://bob:***@host/db"),
    ("redis://:hunter2@host", "redis://:***@host"),
    ("sent Bearer abcdefgh12345678 on", "sent Bearer *** on"),
    (f"got {JWT}.", "got ***"),
    ("ghp_" + "a1B2" * 9, "***"),
    ("github_pat_" + "a1B2" * 9, "***"),
    ("AKIA" + "A1B2" * 4, "***"),
    ("(sk_live_a1B2a1B2)", "(***)"),
    ("xoxb-123-456-abcdef", "***"),
    (f"key:\n{PEM}\nend", "key:\n***\nend"),
    (f"private_key={PEM}\nend", "private_key=***\nend"),
    (f'{{"private_key": {json.dumps(PEM)}}}', '{"private_key": "***"}'),
    (f"private_key='{PEM}", "private_key='***"),
    (PEM[:50], "***"),
    (PEM[:-5], "***"),
    (f'{FRAME}login(password="hunter2", auth=("a", "b"))', f'{FRAME}login(password="***", auth=***)'),
]

HARMLESS = [
    "author=Bob authority=x monkey=1 keyboard: de passenger=3 sessions_count=3 bypass=1 secretary: Bob",
    "max_tokens=5 token_type=bearer tokenCount: 4 PASSWORD_FILE=/run/x sessionTimeout=30 classname=x",
    "password is wrong, token expired; the session ended. Bearer of bad news",
    "password= \npassword: 'None' token=None {'token': None, \"secret\": null, \"auth\": true}",
    "password='' user=''",
    "http://host:8080/a@b?x=1 https://bob@host auth://host",
    "myeyJ.x.y task-sk- eyJ sk_live_ -----BEGIN CERTIFICATE-----",
    "('user', 'x') ['password', 'user'] --token -v",
    f"{FRAME}token = get_token(password=password, auth=(user, key))",
    "",
]


class TestMask:
    """A masked text keeps all but its secrets."""

    @pytest.mark.parametrize(("text", "masked"), MASKED)
    def test_hides_the_secret_and_keeps_the_text_around_it(self, text: str, masked: str) -> None:
        """The mask replaces only the value."""
        assert MASKER.mask(text) == masked

    @pytest.mark.parametrize("text", HARMLESS)
    def test_leaves_harmless_text(self, text: str) -> None:
        """Names that merely contain a word, and values that are not secrets, stay."""
        assert MASKER.mask(text) == text

    def test_leaves_a_mask(self) -> None:
        """A masked text stays the same when it is masked again."""
        assert all(MASKER.mask(masked) == masked for _, masked in MASKED)

    def test_finds_names_behind_letters_that_grow_in_lower_case(self) -> None:
        """The Turkish capital I is two characters in lower case."""
        assert MASKER.mask("İİİ password=hunter2") == "İİİ password=***"

    @pytest.mark.once
    @pytest.mark.parametrize("word", ["connection_string", "pass", "passphrase", "://u"])
    def test_finds_names_across_the_ends_of_portions(self, word: str) -> None:
        """A long text is searched in portions, so that other threads get their turn."""
        for before in range(9_970, 10_005):
            text = f"{'~' * before} {word}:hunter2@ {'~' * 10_000}"
            assert "hunter2" not in MASKER.mask(text)

    @pytest.mark.once
    @pytest.mark.parametrize("sign", ["%3D", "%253D", "\\u003d", "&#61;", "\uff1d", "\u00a0= "])
    def test_finds_encoded_names_across_the_ends_of_portions(self, sign: str) -> None:
        """A long text is decoded in portions as well, and the mask stands where the secret stood."""
        for before in range(9_976, 10_005, 3):
            start, end = f"{'~%7E' * 100}{'~' * (before - 400)} password{sign}", f" %7E {'~' * 10_000}%7E"
            assert MASKER.mask(f"{start}hunter2{end}") == f"{start}***{end}"

    def test_ends_at_the_quote_when_nothing_more_belongs_to_it(self) -> None:
        """Two quotes at the end of a text end the value as well."""
        for text in ('password="hunter2""', "password='hunter2''", "password='hunter2'\"", 'password="hunter2"" x'):
            assert "hunter2" not in MASKER.mask(text)

    def test_does_not_take_the_rest_of_a_long_text(self) -> None:
        """A value without a closing quote ends after a fixed distance."""
        rest = " and so on" * 5000
        assert MASKER.mask(f"auth=({rest}").endswith("and so on")


class TestWords:
    """The list of words is a setting."""

    def test_replace_the_standard_ones(self) -> None:
        """Only the words of the list count."""
        assert SecretMasker(["Kenn-Wort"]).mask("kennwort=a kenn_wort=b password=c") == (
            "kennwort=*** kenn_wort=*** password=c"
        )

    def test_are_added_to_the_standard_ones(self) -> None:
        """The standard list is there to be extended."""
        assert SecretMasker([*DEFAULT_REDACT, "pin"]).mask("pin=1 spin=2 password=3") == "pin=*** spin=2 password=***"

    @pytest.mark.parametrize("words", [(), ["", " - "]])
    def test_may_be_empty(self, words: Any) -> None:
        """Without words, no text is masked."""
        masker = SecretMasker(words)
        assert masker.mask(f"password=hunter2 {JWT}") == f"password=hunter2 {JWT}"
        assert masker.mask_value("password", ["hunter2"]) == ["hunter2"]

    def test_are_shown(self) -> None:
        """The repr has the words."""
        assert repr(SecretMasker(["apiKey", "pin"])) == "SecretMasker(['api key', 'pin'])"

    @pytest.mark.parametrize(
        ("name", "is_secret"),
        [("x-api-key", True), ("userPassword", True), ("author", False), ("token_type", False), ("", False)],
    )
    def test_are_found_in_names(self, name: str, is_secret: bool) -> None:
        """Names alone are matched as in text."""
        assert MASKER.is_secret(name) is is_secret


class Login(NamedTuple):
    user: str
    password: str


class TestMaskValue:
    """Masking examines the parts of a value."""

    @pytest.mark.parametrize("value", ["hunter2", 1234, b"hunter2", {"a": 1}, ["a"], object()])
    def test_hides_a_value_with_the_name_of_a_secret(self, value: object) -> None:
        """The type of the value does not matter."""
        assert MASKER.mask_value("db_password", value) == "***"

    @pytest.mark.parametrize("value", [None, True, False])
    def test_keeps_none_and_booleans(self, value: object) -> None:
        """A reader wants to know that there is no secret."""
        assert MASKER.mask_value("password", value) is value

    def test_masks_nested_values(self) -> None:
        """Mappings, lists, tuples and text may contain secrets; the given value stays unchanged."""
        value = {"user": "bob", "a": [{"token": "x"}, ("k", 1, "pin=1 token=x")], 3: 4.5, b"Cookie": b"x"}
        before = repr(value)
        assert MASKER.mask_value("extra", value) == {
            "user": "bob",
            "a": [{"token": "***"}, ("k", 1, "pin=1 token=***")],
            3: 4.5,
            b"Cookie": "***",
        }
        assert repr(value) == before

    def test_masks_pairs(self) -> None:
        """Headers come as a list of pairs."""
        headers = [("Authorization", "Basic abc"), (b"host", b"x"), (1, "x")]
        assert MASKER.mask_value("headers", headers) == [("Authorization", "***"), (b"host", b"x"), (1, "x")]

    def test_masks_pairs_that_are_lists(self) -> None:
        """JSON makes a list of each pair. A list of two names stays."""
        headers = [["Authorization", "Basic abc"], ["host", "x"], ["token", None], ["session", True], [], ["a"]]
        masked = [["Authorization", "***"], ["host", "x"], ["token", None], ["session", True], [], ["a"]]
        assert MASKER.mask_value("headers", headers) == masked
        assert MASKER.mask_value("fields", ["password", "email"]) == ["password", "email"]

    def test_masks_the_fields_of_named_tuples(self) -> None:
        """The copy is a named tuple too."""
        login = Login("ann", "hunter2")
        assert MASKER.mask_value("logins", [login]) == [("ann", "***")]
        assert MASKER.mask_value("logins", [login])[0].user == "ann"

    def test_ends_where_a_value_contains_itself(self) -> None:
        """The inner reference is masked."""
        value: list[Any] = ["a"]
        value.append(value)
        assert MASKER.mask_value("x", value) == ["a", "***"]

    def test_ends_at_a_depth(self) -> None:
        """A value that is nested a thousandfold is masked from some depth on, and many branches take no longer."""
        value: list[Any] = ["hunter2"]
        for _ in range(1000):
            value = [value, value]
        assert "hunter2" not in json.dumps(_leftmost(MASKER.mask_value("x", value)))


def _leftmost(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0]
    return value


# `st.text` draws words of modules that happen to be imported, such as the type CHARACTER, which are no secrets.
_SIGNS = "".join(sorted(set(map(chr, range(33, 127))) - set("\"'`\\,;:&|<>()[]{}=.!?/#@%*")))
SECRETS = st.lists(st.sampled_from(_SIGNS)).map("".join)
FORMS = [
    "password={}",
    "DB_PASSWORD: {}",
    "a stripeApiKey = {} b",
    "secret='{}'",
    "{{'password': '{}', 'x': 1}}",
    '{{"password": "{}"}}',
    r"\"password\": \"{}\"",
    "Authorization: Bearer {}",
    "Authorization: {}",
    "Cookie: a={}; c=d",
    "https://host/a?token={}&x=1",
    "https://user:{}@host/a",
    "auth=('bob', '{}')",
    "--token {} x",
    "('set-cookie', '{}')",
]
WORDS = st.sampled_from(
    [
        *(
            "password",
            "token",
            "auth",
            "Cookie",
            "cookie:",
            "=",
            ":",
            ": ",
            '"',
            "'",
            "\\",
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
        ),
        *(",", ";", "&", "***", "://", "a:b@", "@", "None", "bearer ", "Bearer abcdefgh12345678", JWT, "eyJ", "sk-"),
        *(" ", "--", "x", "_", "X", ".", FRAME, PEM, PEM[:40], "-----END", "Basic ", "b'", "%3D", "</", "typ", "_type"),
        *("\n", "\r\n", "\\n"),
    ]
)
ANY_TEXT = st.text() | st.lists(WORDS, max_size=30).map("".join)


class TestAnyText:
    """Masking works for any text."""

    @given(secret=SECRETS, form=st.sampled_from(FORMS))
    @settings(deadline=None)
    def test_no_secret_is_left(self, secret: str, form: str) -> None:
        """The secret is hidden in every form."""
        # A dash after an option begins the next option.
        assume(not (secret.startswith("-") and form.startswith("--")))
        # A word in capitals behind it stands for a value, as in `--token TOKEN`.
        assume(not (_METAVAR.match(secret) and form.startswith("--")))
        assume(len(secret) > 1 and not is_harmless_text(secret))
        # The text behind the name of a scheme, such as `Basic`, is hidden as well.
        assume(not _SCHEME.match(f"{secret} b"))
        marked = f"~{secret}~"
        assert marked not in MASKER.mask(form.format(marked))
        assert MASKER.mask(form.format(secret)) == form.format("\0").replace(_hidden(form), "***"), (
            "the secret and nothing else is replaced"
        )

    @given(ANY_TEXT)
    @settings(deadline=None, max_examples=300, derandomize=True)
    @example("\ud800password=\ud800")
    def test_masking_twice_is_masking_once(self, text: str) -> None:
        """No text raises, and a mask is not a secret."""
        masked = MASKER.mask(text)
        assert MASKER.mask(masked) == masked


def _hidden(form: str) -> str:
    """Return the part of `form` that the mask replaces, where the secret is a null character."""
    for whole in ("Bearer \0", "a=\0; c=d", "('bob', '\0')"):
        if whole in form.format("\0"):
            return whole
    return "\0"


WORST = [
    *(
        "set_password('a', ",
        "assertEqual(token, 'a",
        "token for a is ",
        "username a token 1 ",
        "<token a='b'/>",
        "{token, ",
    ),
    *("token=a or b.c ", "token: is", "token value:", "ROLE a TOKEN '", 'token "" => ""', "AUTH default", "aa:1aaaaa:"),
    *(
        "password=a or 'b' ",
        "password=a(b) or c",
        "' == token",
        "' == a",
        "WIFI:T:",
        "wifi:s:a;",
        ":1aaaaa:",
        "basic', '",
    ),
    *(
        "into a (password) values (",
        "into a (b, password) values (%(p)s, :q) ",
        "into a(a) values ('",
        "a,password;b1\n",
    ),
    *(
        "a1 LOGIN a ",
        "LOGIN 'a ",
        "login failed for ",
        "login('a', ",
        "simple_bind_s('",
        "schtasks /p ",
        "token a:\n\n",
    ),
    *(
        "a://b:c\n",
        "a://b:c\nd@",
        "Unexpected token: ",
        "password='a'\\''",
        '"token":{"a":"b"',
        "PASS: a",
        "mysql -pa'b'",
    ),
    *(
        '"token":{"type":"string","default":"',
        "<set to the key '",
        "projects/a/secrets/",
        "Key (token)=(1",
        "password: '",
    ),
    *(
        "key=" + "[" * 22,
        '"key":["a","a",',
        "a,password,bbbbbbbbbbbbbb\n",
        "-----BEGIN CERTIFICATE-----",
        "-a b\n",
        "-p -a ",
        "03:04:05",
    ),
    *("\"-H 'Cookie: a=b' \"", "|password", "password\u00a0=", "\u200b", "%25", "&amp;", "\\u003d", "\uff1d", "└ "),
    *("insert into a (password) values ", '"kty"', "://a:b/", "?key=", "a@b:c@", "ghp_", "token:\n", "token: |\n a\n"),
    *(
        "<password a=",
        '"name": "password",',
        "token is ",
        "basic aaaaaaaaaaaaaaaaaaaa ",
        "Password for key ",
        "user,password\n",
    ),
    *("=", "'", '"', "\\", "://", "a://b:", "password=", "eyJ", "-eyJ", "eyJaaaa.", 'password="', 'password=\\"'),
    *("password='\n", "password=\n(", 'password="\\', "auth=('\\'", "token.", "token ", "token\\", "token   "),
    *("cookie:", "'cookie:", "\n'Cookie: \"", "-----BEGIN PRIVATE KEY", "sk-", "bearer ", "--token ", "('token', "),
    *("password=,", "token=a,", ",a=", "token=[{('\"", "İ", "password", "auth-", f"{FRAME}auth=(", "a@b:c@"),
]


@pytest.mark.once
@pytest.mark.parametrize("piece", WORST)
@pytest.mark.parametrize("before", ["", "password='", "auth=("])
def test_time_grows_with_the_length_and_no_faster(
    takes_linear_time: Callable[..., bool], before: str, piece: str
) -> None:
    """A text four times as long takes about four times as long; sixteen times would be quadratic."""
    short, long = (before + piece * (count * LONG // len(piece)) for count in (1, 4))
    assert takes_linear_time(MASKER.mask, short, long)


@pytest.mark.parametrize("end", ["#", "=", "(", "\n"])
@pytest.mark.parametrize("piece", [".", "-", "'", "- ", "a.", "a... ", "a-", ", .", ").", "%"])
def test_a_text_that_is_almost_a_sentence_takes_no_time(piece: str, end: str) -> None:
    """There is one way to split a text into words."""
    began = time.thread_time()
    MASKER.mask(f'password="not {piece * 3_000}{end}"')
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("separator", [" ", " -> "])
def test_many_texts_behind_one_name_are_masked(separator: str) -> None:
    """The values behind a name may be more than calls may be nested."""
    masked = MASKER.mask("password = " + separator.join(['"hunter2"'] * 5_000))
    assert masked == "password = " + separator.join(['"***"'] * 5_000)


@pytest.mark.parametrize("text", ["\x1b[36mpassword\x1b[0m=\x1b[35mhunter2\x1b[0m", "password\x00=hunter2"])
def test_invisible_characters_hide_no_secret(text: str) -> None:
    """Coloured lines have codes between name and value, which Discord would not show."""
    assert MASKER.mask(text) == "password=***"


def test_a_password_in_a_url_that_was_cut_is_masked() -> None:
    """The host, which shows that it is a password, may be cut off."""
    assert MASKER.mask("connect postgres://app:hunter2hunt…") == "connect postgres://app:***"


def test_a_text_is_not_a_list_of_words() -> None:
    """Its letters would be the words."""
    with pytest.raises(TypeError, match=r"words must be a list such as \['iban'\], not 'iban'"):
        SecretMasker("iban")


def test_a_text_that_was_bytes_does_not_change_how_an_equal_text_is_shown() -> None:
    """The text of bytes has no quotes in a list. The one that was masked first was remembered for both."""
    masker = SecretMasker()
    for value, shown in ((freeze_value([b"y"]), "[b'y']"), (freeze_value(["b'y'"]), "[\"b'y'\"]")):
        assert show_value(masker.mask_value("a", value), 100) == shown
