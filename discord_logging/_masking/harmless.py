"""A value tells whether it is no secret, whatever its name is: `token: expired`, `password=${PASSWORD}`."""

from __future__ import annotations

import re

from discord_logging._masking.spans import MAX_LINE
from discord_logging._text.lazy_pattern import lazy_pattern

MASK = "***"
"""The text that replaces every secret."""
MARKDOWN_MASK = r"\*\*\*"
"""The mask in Markdown."""

_STATES = frozenset(
    [
        *("absent", "accepted", "active", "allowed", "any", "async", "available", "await", "bad", "blank"),
        *("blocked", "bool", "bytes", "changed", "char", "checked", "cleared", "closed", "closing", "complete"),
        *("completed", "configured", "confirmed", "connected", "connecting", "correct", "corrupt", "corrupted"),
        *("create", "created", "default", "defined", "delete", "deleted", "denied", "deprecated", "different"),
        *("disabled", "disconnected", "done", "duplicate", "empty", "enabled", "encrypted", "ended", "error"),
        *("established", "exists", "expired", "expires", "expiring", "extended", "fail", "failed", "failing"),
        *("failure", "false", "filtered", "finished", "float", "focus", "forbidden", "found", "function"),
        *("generated", "given", "good", "granted", "hashed", "hidden", "hover", "idle", "ignored", "inactive"),
        *("include", "incorrect", "initialized", "int", "invalid", "invalidated", "issued", "kept", "known", "lax"),
        *("leaked", "loaded", "local", "locked", "login", "logout", "long", "lost", "malformed", "masked"),
        *("match", "matched", "matches", "mismatch", "missing", "mixed", "n/a", "na", "nan", "never", "new", "nil"),
        *("no", "none", "not", "null", "object", "off", "ok", "okay", "old", "omit", "omitted", "on", "open"),
        *("opened", "optional", "outdated", "pass", "passed", "pending", "present", "provided", "read", "readonly"),
        *("ready", "received", "redacted", "refreshed", "refused", "registered", "rejected", "released", "removed"),
        *("renewed", "required", "reset", "restored", "reused", "revoked", "rotated", "running", "safe", "same"),
        *("same-origin", "saved", "secure", "secured", "sent", "set", "short", "skip", "skipped", "stale", "started"),
        *("starting", "stopped", "stored", "str", "strict", "string", "strong", "succeeded", "success", "successful"),
        *("terminated", "text", "timeout", "true", "unauthenticated", "unauthorized", "unavailable", "unchanged"),
        *("undefined", "unexpected", "unknown", "unlocked", "unset", "unsupported", "unused", "unverified", "update"),
        *("updated", "used", "valid", "validated", "varchar", "verified", "waiting", "weak", "write", "wrong", "yes"),
    ]
)
"""The values that tell what has become of a secret."""

_FIRST_WORDS = _STATES | frozenset(
    [
        *("creation", "creating", "destroying", "modifying", "destruction"),
        *("character", "characters", "colon", "entry", "field", "file", "header", "name", "segments", "state"),
        *("a", "accepts", "after", "all", "already", "also", "although", "an", "and", "another", "are", "aren't"),
        *("argument", "as", "assert", "at", "attempt", "attempting", "auth", "authentication", "authorization", "be"),
        *("because", "been", "before", "being", "between", "both", "break", "but", "by", "can", "can't", "cannot"),
        *("catch", "change", "changing", "check", "checking", "class", "const", "continue", "cookie", "could"),
        *("couldn't", "credential", "credentials", "def", "did", "didn't", "do", "does", "doesn't", "don't", "each"),
        *("either", "enter", "every", "exactly", "exit", "expected", "expects", "for", "from", "goto"),
        *("had", "has", "hasn't", "have", "haven't", "how", "if", "import", "in", "insecure", "is"),
        *("isn't", "it", "its", "just", "key", "keys", "lambda"),
        *("less", "let's", "like", "max", "maximum", "may", "might"),
        *("min", "minimum", "more", "most", "must", "need", "needs"),
        *("neither", "nobody", "nor", "nothing", "now", "of"),
        *("once", "one", "only", "option", "or", "our", "out", "parameter", "password", "passwords", "per"),
        *("permission", "please", "print", "process", "raise", "refresh", "refreshing", "request", "requires"),
        *("retry", "retrying", "return", "secret", "secrets", "see", "service", "session", "sessions", "should"),
        *("signature", "since", "so", "some", "something", "still", "such", "takes", "that", "the", "their", "then"),
        *("there", "these", "they", "this", "those", "throw", "token", "tokens", "too", "trying", "two", "unable"),
        *("unbound", "until", "up", "use", "user", "users", "using", "value", "values", "variable", "verify"),
        *("verifying", "was", "wasn't", "we", "were", "weren't", "what", "when", "where", "whether", "which"),
        *("while", "who", "why", "will", "with", "within", "without", "won't", "would", "wouldn't", "yield", "you"),
        *("your",),
    ]
)
"""The words that begin a sentence about a secret, which stands where a value could."""

_SENTENCE_STARTS = (_FIRST_WORDS - _STATES) | {
    *("empty", "expired", "incorrect", "invalid", "missing", "not", "required", "short", "weak", "wrong"),
}
"""The words that begin the message of a validation."""

_END = r"(?=[\s\"'`<]|[,;&|)\]}>](?=[\s\"'`<,;&|)\]}>\[({\\]|$|[\w.-]{1,40}[=:])|[.:!?]{1,3}(?:[\s\"']|$)|\\[nrt\"']|$)"
_WORD = lazy_pattern(rf"[A-Za-z][A-Za-z'\u2019/-]*{_END}")
_FOLLOWING = lazy_pattern(r" ([A-Za-z][A-Za-z'-]*)")
_PARTICIPLE = lazy_pattern(r"[A-Za-z][a-z]{2,15}(?:ing|ed)")
# There is one way to match a text, so that the time is linear: a word ends with a letter or digit, and every gap has a
# blank or one of the signs that no word contains.
_SENTENCE = lazy_pattern(
    r"[A-Za-z]+(?:['\u2019]+[A-Za-z]+)*"
    r"(?:['\u2019.-]*[ ,:;()][ ,.:;()'\u2019-]{0,20}[\w%]+(?:['\u2019.-]+[\w%]+)*){1,30}['\u2019.-]*[!?]?"
)
_COUNT = lazy_pattern(rf"\d{{1,9}}(?:\.\d{{1,6}})?{_END}")
_MEASURE = lazy_pattern(
    rf"\d{{1,9}}(?:\.\d{{1,6}})?[ ]?(?:ns|us|µs|ms|s|m|h|d|sec|min|hours?|days?|[kKMG]i?B|bytes?|%){_END}"
)
_ANSWERED = lazy_pattern(r"(?:auth|session|token|signature|cookie|csrf|secret)\Z", re.IGNORECASE)
"""The names behind which a short number is a status or a count."""
_MAX_ANSWER = 4
_COUNTED = lazy_pattern(
    r"(?:cookie|credential|password|secret|session|token|key|pass)s\Z|\A(?:pass(?:es)?|session)\Z", re.IGNORECASE
)
_MAX_COUNTED = 7
"""The longest number that is a count and no secret, in digits."""
_PLACEHOLDER = lazy_pattern(
    r"(?:"
    r"\*{1,2}|[\w-]{0,8}[*•●]{3,}[\w-]{0,4}|[xX]{3,}|\.{3,}|…|-+|\?+"
    r"|<[A-Za-z][A-Za-z _.-]{0,40}>|\[[A-Za-z][A-Za-z _-]{0,40}\]|\([A-Za-z][A-Za-z -]{1,40}\)"
    r"|(?i:your)(?:[_-][A-Za-z]{2,12}){1,4}(?:[_-]here)?|(?:MD5|SHA\d{1,3})with\w{2,10}|Secret(?:Str|Bytes)"
    r"|!vault(?: \|)?|!(?:secret|env|env_var|Ref|Sub|GetAtt|ImportValue) [\w.:-]{1,60}"
    r"|:[a-z_]{2,40}|#[0-9a-fA-F]{3,8}|SIG[A-Z]{2,6}|[~.]?(?:/[a-z][a-z0-9_.-]{0,60}){1,20}/?"
    r"|\$\{[\w.:?+=-]{1,60}\}|\$\([\w ./-]{1,60}\)|\$[A-Z_]{3,60}(?![\w!@#$%^-])|%[A-Z_]{3,60}%|\$\{\{[ \w.-]{1,60}\}\}"
    r"|\{\{[ \w.|-]{1,60}\}\}|\{[A-Za-z_][a-zA-Z_.]{0,40}\}|\{\}|%\(\w{1,40}\)s|%[sdrq]"
    r"|<set to the key '[\w.-]{1,100}' (?:in|of) (?:secret|config map) '[\w.-]{1,100}'>"
    r"|projects/[\w-]{1,60}/secrets/[\w-]{1,255}(?:/versions/\w{1,20})?"
    r"|<[\w.: ]{1,80} (?:object )?at 0x[0-9a-fA-F]+>|<(?:class|function|bound method|built-in method) [^<>\n]{1,100}>"
    rf"){_END}"
)
_CODE = lazy_pattern(
    r"(?:await )?(?:"
    r"(?:self|cls|this|settings|config|conf|cfg|app|current_app|os|env|environ|process|request|req|response|options|opts"
    r"|args|params|kwargs|ctx|context|secrets|vault|credentials|props|var|local|data|module|client|session|user|form)"
    r"\.[A-Za-z_][\w.]{0,80}(?![\w!@#$%^-])"
    r"|(?:[a-z_]+\.){0,3}(?:environ|getenv|env|get_secret|getpass|input)\b(?=[\[(.])"
    rf"|[A-Za-z_][\w.]{{0,60}}\([^\"'\n()]{{0,80}}\){_END}"
    r"|[a-z_]\w{0,40}\[[\"']\w{1,60}[\"']\]"
    r"|[a-zA-Z_.]{1,60}(?= or (?:[\"']|None\b|[a-z_]{1,40}\.[a-z]|[\w.]{1,60}\())"
    r")"
)
"""Code that stands where a value could: `settings.API_KEY`, `os.environ["API_KEY"]`, `get_token()`."""


_TEST = lazy_pattern(r"(?=[\w./:-]{0,100}(?i:test|spec|check))[\w./:-]+")
"""The name of a test, which stands behind its result: `PASS: test_login`."""
_SIGNS = tuple("()[]{}<>:;,")
_SCHEMES = ("Bearer ", "Basic ", "Token ")


def is_harmless(text: str, start: int, name: str, separator: str) -> bool:
    """Tell whether the value without quotes that begins at `start`, behind `name` and `separator`, is no secret."""
    if _PLACEHOLDER.match(text, start) or _CODE.match(text, start):
        return True
    if name == "PASS" and separator == ": " and _TEST.match(text, start):
        return True
    word = _WORD.match(text, start)
    if word:
        is_prose = ":" in separator and text[start - 1 : start].isspace()
        following = _FOLLOWING.match(text, word.end())
        # `password: correct` tells of a check, and `password: correct horse battery staple` does not.
        is_state = tells(word[0]) if is_prose else word[0].lower() in _STATES
        return is_state and not (following and not tells(following[1]))
    if text[start : start + 1].isdigit():
        if _MEASURE.match(text, start):
            return True
        count = _COUNT.match(text, start)
        digits = len(count[0]) if count else MAX_LINE
        return (digits <= _MAX_COUNTED and bool(_COUNTED.search(name))) or (
            digits <= _MAX_ANSWER and ":" in separator and bool(_ANSWERED.search(name))
        )
    return False


def tells(word: str) -> bool:
    """Tell whether a word is one that people write about secrets."""
    return word.lower() in _FIRST_WORDS or bool(_PARTICIPLE.fullmatch(word))


def _is_placeholder(text: str) -> bool:
    """Tell whether the whole text is the name of a state, or stands for a value."""
    return text.lower() in _STATES or bool(_PLACEHOLDER.fullmatch(text))


def _without_scheme(text: str) -> str:
    return text.partition(" ")[2] if text.startswith(_SCHEMES) else text


def is_harmless_text(text: str) -> bool:
    """Tell whether the whole text between two quotes is no secret."""
    text = _without_scheme(text)
    words = text.split()
    if not words or _is_placeholder(text) or text in _SIGNS:
        return True
    # A passphrase consists of words too, but hardly of these.
    is_sentence = words[0].lower() in _SENTENCE_STARTS and bool(_SENTENCE.fullmatch(text))
    return is_sentence and 2 * sum(tells(word.rstrip(".,:;!?")) for word in words) >= len(words)


def is_harmless_value(name: str, value: object) -> bool:
    """Tell whether the value of an item is no secret though its name is the name of one."""
    if isinstance(value, str):
        return not value or _is_placeholder(_without_scheme(value))
    return isinstance(value, int) and abs(value) < 10**_MAX_COUNTED and bool(_COUNTED.search(name))
