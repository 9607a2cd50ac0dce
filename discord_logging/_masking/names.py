"""A name tells whether the value behind it is a secret: `password`, `X-API-Key`, `stripeApiKey`."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable


DEFAULT_REDACT: tuple[str, ...] = (
    *("password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd"),
    *("adminpass", "authpass", "bindpass", "dbpass", "keypass", "rootpass", "sshpass", "storepass", "userpass"),
    *("secret", "secrets", "secret string", "token", "jwt", "bearer", "csrf", "xsrf", "auth", "oauth"),
    *("authorization", "cookie", "cookies", "session", "session id", "sessid", "connect sid"),
    *("credential", "credentials", "creds", "api key", "api keys", "access key", "secret key", "private key"),
    *("account key", "encryption key", "signing key", "ssh key", "auth key", "master key", "session key"),
    *("subscription key", "functions key", "honeycomb team", "service key", "license key"),
    *("shared key", "instrumentation key", "client key data", "signature", "sig"),
    *("pin code", "recovery code", "recovery codes", "backup codes", "otp", "mnemonic", "saml response", "seed phrase"),
    *("pw", "psk", "masterauth", "requirepass", "passwort"),
    *("kennwort", "contraseña", "senha", "mot de passe", "пароль"),
    *("wachtwoord", "parola", "şifre", "salasana", "密码", "密碼", "パスワード", "비밀번호"),
    *("dsn", "connection string", "connection strings", "conn str", "ssn", "card number", "credit card", "cvv", "cvc"),
)
"""The default of `redact`: the words that make a name look like the name of a secret."""

_MIN_ANYWHERE = 5
"""The shortest word that counts anywhere in a part of a name, in letters. A shorter word counts only where a part
begins: `auth` in `x-auth`, not `ssn` in `classname`."""
_ANYWHERE = frozenset(("pwd", "jwt"))
"""The shorter words that no other word ends with."""
_MAX_NAME = 100
"""The longest part of a name on each side of a word, in characters."""
_MAX_BLANK_NAME = 10
"""A name with spaces is not extended further once this many characters stand before its last word."""
_MAX_JUDGED = 5_000
"""The number of names whose judgement is remembered."""

_HARMLESS_ENDINGS = frozenset(
    [
        *("age", "alg", "algo", "algorithm", "algorithms", "at", "attempt", "attempts", "backend", "bits", "class"),
        *("callback", "change", "changed", "check", "column", "config", "count", "counts", "counter", "created"),
        *(
            "date",
            "days",
            "denied",
            "description",
            "dialect",
            "dir",
            "directory",
            "domain",
            "driver",
            "duration",
            "encryption",
            "origins",
        ),
        *("enabled", "disabled", "endpoint", "engine", "error", "errors", "event", "events", "exception", "exists"),
        *("exp", "expired", "expires", "expiration", "expiry", "failed", "failure", "failures", "field", "fields"),
        *("file", "filename", "flow", "format", "forbidden", "found", "function", "group", "guard", "handler", "help"),
        *(
            "hasher",
            "hashers",
            "header",
            "headers",
            "hint",
            "host",
            "hours",
            "id",
            "ids",
            "in",
            "index",
            "invalid",
            "issuer",
            "kind",
            "label",
            "len",
        ),
        *(
            "length",
            "level",
            "lifetime",
            "limit",
            "link",
            "location",
            "manager",
            "max",
            "maxlifetime",
            "menu",
            "message",
            "method",
            "methods",
        ),
        *("middleware", "min", "minutes", "missing", "mode", "model", "module", "ms", "name", "names", "number"),
        *("options", "page", "path", "pattern", "placeholder", "plugin", "policy", "port", "prefix", "present"),
        *(
            "project",
            "prompt",
            "provider",
            "providers",
            "rate",
            "ratio",
            "realm",
            "reason",
            "ref",
            "reference",
            "refused",
            "region",
        ),
        *("regex", "request", "requests", "required", "requirements", "result", "role", "roles", "route", "rule"),
        *("rules", "samesite", "scheme", "scope", "scopes", "score", "screen", "seconds", "sent", "server"),
        *("service", "settings", "size", "source", "start", "started", "state", "status", "step", "store", "strategy"),
        *("strength", "style", "subject", "suffix", "table", "template", "threshold", "timeout", "time", "title"),
        *("total", "ttl", "type", "types", "uri", "url", "urls", "usage", "used", "user", "username", "users", "valid"),
        *("validator", "validators", "version", "view", "views", "warning", "retries"),
    ]
)
"""The endings of names that describe a secret but do not hold it: `token_type`, `PASSWORD_FILE`, `sessionTimeout`."""
_HARMLESS_STARTS = frozenset(
    [
        *("bad", "can", "expired", "has", "invalid", "is", "missing", "n", "no", "num", "public", "unknown", "wrong"),
    ]
)
"""The beginnings of names that tell about a secret: `is_password`, `max_token`, `BadSignature`."""

_FILE = lazy_pattern(
    r"\.(?:bat|cc?|cfg|clj|conf|cpp|cs|cshtml|css|dart|erb|erl|exs?|fs|go|groovy|hs|jl|jsp|mm?|nim|zig|kts|h|hpp|html?|ini|java|jsx?|json|kt|log|lua|md|mjs|php|pl|pyc?|pyx|rb|rs|scala|sh"
    r"|sql|swift|tf|toml|tsx?|txt|vue|xml|ya?ml)\Z"
)
"""The end of the name of a file, behind which the number of a line may stand: `auth.js:88`."""
_WEAK_WORDS = ("key", "keys", "sign", "sid", "hmac", "tokens", "client cert", "community", "pin", "salt")
"""The words of names that are as often names of other things. Their values are secrets if they look random."""
_WEAK_STARTS = frozenset(
    [
        *("cache", "composite", "content", "dedup", "dict", "event", "file", "foreign", "git", "group", "hot", "i18n"),
        *("idempotency", "image", "index", "item", "json", "kafka", "lookup", "map", "message", "object", "partition"),
        *("primary", "redis", "routing", "row", "s3", "shard", "shortcut", "sort", "topic", "translation", "unique"),
        *("commit", "tree", "block", "etag", "md5", "sha1", "sha256", "checksum", "storage", "upload", "blob"),
    ]
)
"""The beginnings of names with a weak word that name no secret."""

_CAMEL = lazy_pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = lazy_pattern(r"[\W_]+")
_REST = lazy_pattern(rf"[\w.-]{{0,{_MAX_NAME}}}")


class Judgement(Enum):
    """Tells whether a value is a secret by its name."""

    HARMLESS = 0
    WEAK = 1
    """The value is a secret if it looks random."""
    SECRET = 2


class SecretNames:
    """Tells which names are names of secrets.

    Words are compared without regard to case, and `-`, `_`, `.`, spaces and camelCase are alike.

    Attributes:
        words: The words, in lower case, with a space between their parts.
        beginning: A pattern that finds a part of every name of a secret in a text in lower case.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(sorted({parts.replace("_", " ") for parts in map(_normal, words) if parts}))
        self.beginning = _alternatives(_shortest({*self.words, *_WEAK_WORDS}), "[-_. ]?") if self.words else "(?!)"
        self._word = lazy_pattern(_in_names(self.words) if self.words else "(?!)")
        self._judged: dict[str, Judgement] = {}

    def judge(self, name: str) -> Judgement:
        """Tell whether `name` is the name of a secret."""
        judged = self._judged.get(name)
        if judged is None:
            if len(self._judged) >= _MAX_JUDGED:
                self._judged.clear()
            judged = self._judged[name] = self._judge(name[-2 * _MAX_NAME :])
        return judged

    def _judge(self, name: str) -> Judgement:
        normal = _normal(name)
        if not self._word.search(normal) and self._word.search(flat := _SEPARATORS.sub("_", name).casefold()):
            normal = flat.strip("_")  # `toKen` is no word and another.
        firsts = {normal.partition("_")[0], _normal(name.rpartition(".")[2]).partition("_")[0]}
        end = max((match.end() for match in self._word.finditer(normal)), default=0)
        if end:
            ending = normal[end:].rpartition("_")[2]
            harmless = ending in _HARMLESS_ENDINGS or firsts & _HARMLESS_STARTS or _FILE.search(name)
            return Judgement.HARMLESS if harmless else Judgement.SECRET
        is_weak = self.words and _WEAK_NAME.search(normal) and not firsts & (_WEAK_STARTS | _HARMLESS_STARTS)
        return Judgement.WEAK if is_weak else Judgement.HARMLESS

    def find(self, text: str, start: int, end: int) -> tuple[int, int, Judgement]:
        """Return where the whole name begins and ends in which a word was found, and how it is judged."""
        start = _name_start(text, start)
        end = _REST.match(text, end).end()  # type: ignore[union-attr]  # it matches anything
        judgement = self.judge(text[start:end])
        before = start
        while judgement is not Judgement.SECRET and before and text[before - 1] == " ":
            # `API Key`, `mot de passe`
            before = _name_start(text, before - 1)
            if self.judge(text[before:end]) is Judgement.SECRET:
                return before, end, Judgement.SECRET
            if start - before > _MAX_BLANK_NAME:
                break
        return start, end, judgement


def _name_start(text: str, position: int) -> int:
    first = max(position - _MAX_NAME, 0)
    while position > first and (text[position - 1].isalnum() or text[position - 1] in "_-."):
        position -= 1
    return position


def _shortest(words: set[str]) -> set[str]:
    """Return the words without those whose last part contains another word."""
    return {word for word in words if not any(other in word.rpartition(" ")[2] for other in words - {word})}


def _normal(name: str) -> str:
    """Return a name in lower case, with `_` between its parts."""
    # Some letters become two in lower case, and the second may be a sign that separates: "İ" has a dot of its own.
    return _SEPARATORS.sub("_", _CAMEL.sub("_", name).casefold()).strip("_")


def _in_names(words: Iterable[str]) -> str:
    """Return a pattern that finds one of the words as a whole in the normal form of a name."""
    anywhere = [word for word in words if len(word) >= _MIN_ANYWHERE or word in _ANYWHERE]
    short = [word for word in words if word not in anywhere]
    patterns = [_alternatives(anywhere, "_?")] if anywhere else []
    patterns += [rf"(?<![^_\d]){_alternatives(short, '_?')}"] if short else []
    return rf"(?:{'|'.join(patterns)})(?![^_\d])"


def _alternatives(words: Iterable[str], separator: str) -> str:
    """Return a pattern for `words`, in which they share their beginnings: it is three times as fast as a plain list."""
    rests: dict[str, list[str]] = {}
    for word in sorted(words):
        rests.setdefault(word[:1], []).append(word[1:])
    optional = "?" if rests.pop("", None) else ""
    branches = [
        (separator if first == " " else re.escape(first)) + _alternatives(rest, separator)
        for first, rest in rests.items()
    ]
    return f"(?:{'|'.join(branches)}){optional}" if branches else ""


_WEAK_NAME = lazy_pattern(rf"(?<![^_]){_alternatives(_WEAK_WORDS, '_?')}(?:_?\d{{1,3}})?\Z")
