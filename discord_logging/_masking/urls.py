"""A secret stands in an address: as the password before its host, or in its query."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from discord_logging._masking.harmless import MASK, is_harmless_text
from discord_logging._masking.spans import MAX_WORD, looks_random
from discord_logging._text.lazy_pattern import lazy_pattern
from discord_logging._text.markdown import ELLIPSIS

if TYPE_CHECKING:
    import re

    from discord_logging._masking.spans import Found

QUERY_NAMES = (
    "key",
    "code",
    "sig",
    "hash",
    "state",
    "ticket",
    "assertion",
    "k",
    "h",
    "s",
    "t",
    "x",
    "apikey",
    "appid",
    "otp",
    "sid",
    "hmac",
    "auth",
    "pin",
)
"""The parameters of a query whose value is masked if it looks random."""
LINKS = (
    "invite",
    "reset",
    "reset-password",
    "password",
    "verify",
    "confirm",
    "activate",
    "unsubscribe",
    "magic",
    "magic-link",
    "share",
    "hooks",
    "integration",
    "webhook",
    "webhooks",
)
"""The parts of the path of a link before its token."""
SCHEMES = ("basic", "plain", "ntlm", "negotiate", "auth login")
"""The schemes of HTTP and SMTP authentication before credentials."""

_AUTHORITY = lazy_pattern(r"[^\s/?#\"'<>]*")
_REST = lazy_pattern(r"[^\s\"'<>]{0,300}(?: [^\s\"'<>]{1,100}){0,2}")
_PORT = lazy_pattern(r"[^:]*:\d{0,5}(?:[/?#\s]|$)|[^:]*:[{$%<]")
_HOST = lazy_pattern(r"[\w.-]+(?::\d{1,5})?(?:[/?#,\s\"'<>)\]}]|$)")
_WEB = lazy_pattern(r"(?:https?|wss?)\Z")
_VALUE = lazy_pattern(r"[^&\s\"'<>#\\]+")
_MIN_KEY = 16
"""The shortest user in an address that is a key, if it looks random, in characters."""
_CREDENTIALS = lazy_pattern(r"[\w.~+/-]{16,}=*")
_MIN_USER = 8
_MAX_USER = 60
_MAX_PASSWORD = 300
_DATABASE = lazy_pattern(r"(?:tcp|unix)\(|[\w.-]{1,100}:\d{2,5}/")
_DIGIT = lazy_pattern(r"\d")
_BROKEN = lazy_pattern(
    r"[^\s/?#\"'<>:@]{0,60}:(?!\d{1,5}\s)[^\s\"'<>/@]{0,200}(\r?\n)[ \t]{0,20}[^\s\"'<>:/@]{0,100}@"
    r"[\w.-]{1,100}(?:[:/?\s\"']|\Z)"
)
"""A password that a narrow terminal has broken."""
_WIFI = lazy_pattern(r"(?:[TSHRI]:[^\n;]{0,64};){0,4}P:((?:\\.|[^\n;\\]){1,63});")
_IPV6 = lazy_pattern(r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){0,7}")
_ORACLE = lazy_pattern(r"[\w.-]{1,60}/([^\s\"'<>/]{1,200})@")


def find_in_authority(text: str, match: re.Match[str], found: Found) -> int:
    """Find the password in `scheme://user:password@host`, or a key that stands there instead of a user."""
    start = match.end()
    whole = _AUTHORITY.match(text, start).end()  # type: ignore[union-attr]  # it matches anything
    # A text that was cut may have lost the host behind the password.
    end = whole if text.endswith(ELLIPSIS, start, whole) else text.rfind("@", start, whole)
    if end < 0 and not _WEB.search(text, max(start - 10, 0), match.start()) and (broken := _BROKEN.match(text, start)):
        end = text.rfind("@", start, broken.end())
    if end < 0:
        end = _odd_end(text, start, is_web=bool(_WEB.search(text, max(start - 10, 0), match.start())))
    if end <= start:
        return start
    colon = text.find(":", start, end)
    user = text[start : colon if colon >= 0 else end]
    password = colon + 1 if colon >= 0 else end
    # Without a password, the user may be the key.
    if (len(user) >= _MIN_KEY and looks_random(user)) or (password == end > start + _MIN_USER and colon > 0):
        found.add(start, start + len(user))
    if text[password:end] == MASK or is_harmless_text(text[password:end]):
        return end
    return found.add(password, end)


def _odd_end(text: str, start: int, *, is_web: bool) -> int:
    """Return the end of a password that contains `/`, `?`, `#` or spaces, or -1."""
    limit = text.find("://", start, start + _MAX_PASSWORD)
    rest: str = _REST.match(text, start, limit if limit >= 0 else sys.maxsize)[0]  # type: ignore[index]  # it matches anything
    if is_web:
        rest = rest.partition(" ")[0]
    at = rest.rfind("@")
    if at < 0 or ":" not in rest[:at] or _PORT.match(rest) or not _HOST.match(text, start + at + 1):
        return -1
    return start + at


def find_in_query(text: str, match: re.Match[str], found: Found) -> int:
    """Find the value of a parameter such as `key`, which is a secret in addresses alone."""
    value = match.end()
    start: re.Match[str] | None = _VALUE.match(text, value, value + MAX_WORD)
    if start and len(start[0]) >= _MIN_KEY and looks_random(start[0]):
        return found.add(*_VALUE.match(text, value).span())  # type: ignore[union-attr]  # its start matches
    return value


def find_credentials(text: str, match: re.Match[str], found: Found) -> int:
    """Find the credentials behind the scheme of HTTP or SMTP authentication, such as `Basic`."""
    value = _CREDENTIALS.match(text, match.end())
    return found.add(*value.span()) if value and (_is_encoded(value[0])) else match.end()


def find_cookie(text: str, match: re.Match[str], found: Found) -> int:
    """Find the value in the repr of a cookie, whatever the cookie's name is."""
    value = _VALUE.match(text, match.end())
    return found.add(*value.span()) if value else match.end()


def _is_encoded(value: str) -> bool:
    return value.endswith("=") or looks_random(value) or not (value.islower() or value.isupper() or value.istitle())


def find_before_host(text: str, match: re.Match[str], found: Found) -> int:
    """Find the password in `user:password@tcp(host)/db`, `user:password@host:5432/db` and `user/password@host`."""
    start, end = match.start() + 1, match.end() - 1
    user = match.start()
    while user > start - _MAX_USER and (text[user - 1 : user].isalnum() or text[user - 1 : user] in ("_", ".", "-")):
        user -= 1
    if user == match.start() or text[user - 1 : user] in ("/", ":", "@"):
        return match.end()
    is_sure = text[start - 1] == ":" and _DATABASE.match(text, match.end())
    return found.add(start, end) if is_sure or looks_random(text[start:end]) else match.end()


def find_in_password_file(text: str, match: re.Match[str], found: Found) -> int:
    """Find the password in a line of PostgreSQL's `.pgpass`: `host:5432:database:user:password`."""
    value = _VALUE.match(text, match.end())
    if not value:
        return match.end()
    is_secret = len(value[0]) >= _MIN_USER and _DIGIT.search(value[0]) and not _IPV6.fullmatch(value[0])
    return found.add(*value.span()) if is_secret else value.end()


def find_link(text: str, match: re.Match[str], found: Found) -> int:
    """Find the token at the end of the path of a link, such as an invitation."""
    value = _CREDENTIALS.match(text, match.end())
    return found.add(*value.span()) if value and looks_random(value[0]) else match.end()


def find_in_wifi(text: str, match: re.Match[str], found: Found) -> int:
    """Find the password in the text of a QR code for a network: `WIFI:T:WPA;S:home;P:hunter2;;`."""
    password = _WIFI.match(text, match.end())
    return found.add(*password.span(1)) if password else match.end()


def find_in_oracle_url(text: str, match: re.Match[str], found: Found) -> int:
    """Find the password in `jdbc:oracle:thin:user/password@host`."""
    password = _ORACLE.match(text, match.end())
    return found.add(*password.span(1)) if password else match.end()
