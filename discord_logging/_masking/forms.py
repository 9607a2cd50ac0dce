"""The forms in which a value stands behind its name without a separator: in elements, calls, pairs and sentences."""

from __future__ import annotations

import re
from typing import NamedTuple

from discord_logging._masking.spans import looks_random
from discord_logging._masking.values import word_at
from discord_logging._text.lazy_pattern import lazy_pattern

QUOTES = r"(?:\\{0,7}[\"'`]{1,3})?"
GAP = r"[ \t]*"


class Form(NamedTuple):
    """A form in which a value stands behind its name without a separator.

    Attributes:
        example: A text with the form, whose value is a variant of `hunter2`. It would be left without the form.
        before: A pattern for the text before the name.
        after: A pattern for the text between the name and its value.
        end: The sign that ends the value; `""` stands for the end of a quoted text or of a word.
        is_sure: Whether any value is a secret; else it must look random.
    """

    example: str
    before: str
    after: str
    end: str = ""
    is_sure: bool = True


_NAMED = (
    r"(?i:\b(?:name|(?:parameter)?key|field|header|param|parameter|variable|id|env)\b)"
    r"[\"'\\]{0,4}[ \t]*(?:[:=]>?|>)[ \t]*[\"'\\]{0,4}(?:/[\w./-]{0,40}/)?"
)
_VALUE_KEY = rf"{QUOTES}(?:(?:Parameter)?[vV](?:alue|ALUE|al)|content){QUOTES}{GAP}(?:[:=]>?|>){GAP}"
_MEMORABLE = r"[a-z]{4,20}[-_][a-z]{4,20}\d{2,4}\b"
_WHOSE = r"(?:(?:for|of) [\w.@-]{1,60} (?=is |was ))?"
_NAME_AND_VALUE = Form(
    '{"name": "token", "value": "hunter2"}',
    _NAMED,
    rf"{QUOTES}[,;]?\s{{0,40}}(?:\"Type\": ?\"\w{{1,20}}\",\s{{0,40}})?{_VALUE_KEY}",
)
_ELEMENT = Form(
    "<db:password type='x'>hunter2</db:password>",
    r"<(?:[\w-]{1,30}:)?",
    r"[^<>\"'=]{0,20}(?:[\"'=][^<>]{0,200})?(?<!/)>(?:<!\[CDATA\[)?",
    "<",
)
# A line that is a name and a value with a digit. A head of a table has no digits.
_PAIR = Form(
    "password,my-hunter2\n",
    r"(?:\A|\n)[\"']?",
    r"[\"']?[,;](?=[^\s,;]{8,100}(?:\r?\n|\Z))(?=[^\s\d]{0,99}[a-zA-Z])(?=\D{0,99}\d)",
)
_AFTER_BLANK = (
    Form(
        "ENV API_TOKEN hunter2",
        r"(?:ENV|ARG|setenv|setx|#define|set -\w+|config(?:ure)? set|secrets? set)[ \t]+",
        r"[ \t]+(?:--?[a-z]{1,20}[ =])?(?=[^\s=])",
    ),
    Form(
        "password was set to hunter2",
        "",
        r"[ \t]+(?:was |is |has been )?(?:re)?(?:set|changed) to[ \t]+(?=\S{0,40}\d)",
    ),
    Form("password changed from hunter2 to ***", "", r"[ \t]+(?:changed|rotated) from[ \t]+(?=\S{0,40}\d)"),
    Form("enable secret 5 hunter2", r"(?:username \S{1,60}|enable) (?:privilege \d{1,2} )?", r" \d{1,2} (?=\S{6})"),
    Form("requirepass hunter2", "", r"(?:(?<=requirepass)|(?<=masterauth)|(?<=AUTH) default)[ \t]+(?=\S)"),
    Form(
        "the password is word-hunter22",
        "",
        rf"[ \t]+{_WHOSE}(?:is |was |~ |[.]{{2,60}} )?[(\[]?(?=[\"']?{_MEMORABLE})",
    ),
    Form(
        "the token of ann is Hunter2hunter2",
        "",
        rf"[ \t]+{_WHOSE}(?:(?:is|was|are|to|=|of|LIKE|[.~·…>-]{{1,60}}|\d)[ \t]+)?[(\[]?(?=[^\s:=]{{8}})",
        is_sure=False,
    ),
    Form(
        "Password for the [ann] user successfully reset.\nNew value: hunter2",
        "",
        r"[ \t]+for the \[[\w.-]{1,60}\] user successfully reset\.\r?\nNew value:[ \t]+",
    ),
    Form(
        "The generated password for the built-in superuser is : Hunter2hunter2",
        "",
        r"[ \t]+for (?:[\w\[\]-]{1,40} ){1,6}is ?: ?(?=\S{8})",
        is_sure=False,
    ),
    Form("reg add HKLM\\x /v DefaultPassword /d hunter2", r"/v[ \t]+\S{0,40}", r"[ \t]+(?:/t[ \t]+\w+[ \t]+)?/d[ \t]+"),
    Form('Dim password As String = "hunter2"', r"[dD]im[ \t]+", r"[ \t]+As[ \t]+\w{1,40}[ \t]*=[ \t]*(?=\")"),
    Form("AUTH ann Hunter2hunter2", "", r"(?<=AUTH)[ \t]+(?!fail|error)[\w.-]{1,60}[ \t]+(?=\S{8})", is_sure=False),
    Form("WHERE password IN ('hunter2', 'b')", "", r"[ \t]+(?:NOT )?(?:LIKE|IN|BY|by)[ \t]*\(?(?=[\"'])"),
    Form(
        "CREATE USER ann WITH PASSWORD 'hunter2'",
        r"(?:[A-Z][ \t]+|[,(]\s{0,10}|(?:ROLE|USER|LOGIN) \S{1,60} )",
        r"(?<=[A-Z])[ \t]+(?=[\"'])",
    ),
    Form(
        "Use the following password to proceed:\n\nHunter2hunter2\n",
        "",
        r"[ \t][^\n:=]{1,60}:[ \t]*(?:\r?\n[ \t]*){1,2}(?=\S{8,200}[ \t]*(?:\r?\n|\Z))",
        is_sure=False,
    ),
    _ELEMENT,
    _NAME_AND_VALUE,
)
_AFTER_QUOTE = (
    _NAME_AND_VALUE,
    Form('<property name="password" type="x">hunter2</property>', _NAMED, r"[\"'][^<>\n]{0,100}>", "<"),
    Form("[('password', 'hunter2')]", r"[(][bB]?[\"']", r"[\"'],[ \t]*[\[(]?(?=[bB]?[\"'])"),
    Form("['bearer', 'Hunter2hunter2']", r"[\[{][bB]?[\"']", r"[\"'],[ \t]*(?=[bB]?[\"'])", is_sure=False),
    Form("setattr(x, 'token', 'Hunter2hunter2')", r",[ \t]*[bB]?[\"']", r"[\"'],[ \t]*(?=[bB]?[\"'])", is_sure=False),
    Form(
        'form-data; name="password"\nContent-Type: text/plain\n\nhunter2\n--b',
        r"name=[\"']",
        r"[\"'][^\n]{0,100}\r?\n(?:[\w-]+:[^\n]{0,200}\r?\n){0,4}\r?\n",
        "\n",
    ),
    Form(
        'variable "password" {\n  default = "hunter2"\n}',
        r"variable[ \t]+[\"']",
        r"[\"'][ \t]*\{\s{0,20}default\s{0,20}=\s{0,20}",
    ),
    Form(
        '1700000000.1 [0 ::1] "AUTH" "Hunter2hunter2"',
        "",
        r"[\"'][ \t]+(?:(?<=[aA][uU][tT][hH][\"'] )\"[\w.-]{1,60}\"[ \t]+)?(?=[^\s:=]{8})",
        is_sure=False,
    ),
)
FORMS: dict[str, tuple[Form, ...]] = {
    **dict.fromkeys(" \t", _AFTER_BLANK),
    **dict.fromkeys("\"'\\", _AFTER_QUOTE),
    "<": (
        Form("<key>password</key>\n<string>hunter2</string>", r"<key>", r"</key>\s{0,40}<(?:string|data)>", "<"),
        Form("<name>password</name><value>hunter2</value>", r"<[nN]ame>", rf"</[nN]ame>\s{{0,40}}<?{_VALUE_KEY}", "<"),
    ),
    ">": (_ELEMENT,),
    **dict.fromkeys(
        "\r\n",
        (
            _NAME_AND_VALUE,
            Form(
                "password\n  Input is too short [type=x, input_value='hunter2']",
                "",
                r"\r?\n  (?![^\n]{0,200}\[type=missing)[^\n]{1,300}input_value=",
            ),
            Form("? password\n: hunter2", r"\? ", r"\r?\n:[ \t]+"),
        ),
    ),
    ",": (
        _NAME_AND_VALUE,
        Form('{password,"hunter2"}', r"\{", r",[ \t]?(?=[\"'])"),
        Form(
            "assertEqual(user.password, 'hunter2')",
            r"(?:[aA]ssert\w{0,30}|compare_digest)\([^()\n]{0,40}",
            r", ?(?=[bB]?[\"'])",
        ),
        Form("bearer, Hunter2hunter2hunter2", "", r", ?(?=[^\s,]{16})", is_sure=False),
        _PAIR,
    ),
    ";": (_PAIR,),
    "{": (Form('std::string password{"Hunter2hunter2"};', "", r"\{(?=\")", is_sure=False),),
    "(": (
        Form(
            "keyring.set_password('shop', user, 'hunter2')",
            "",
            r"\((?:(?:\"[^\"\n]{0,60}\"|'[^'\n]{0,60}'|[\w.]{1,40}),[ ]?){1,2}(?=[bB]?[\"'])",
            is_sure=False,
        ),
        Form('ds.setPassword("hunter2")', "", r"\((?=[\"'])", is_sure=False),
    ),
}
"""The forms by the sign behind the name."""
_COMPILED = {
    sign: [(lazy_pattern(rf"{form.before}\Z"), lazy_pattern(form.after), form.end, form.is_sure) for form in forms]
    for sign, forms in FORMS.items()
}
_BEFORE = 60
"""The longest text before a name that tells its form, in characters."""
_MAY_HAVE_VALUE = lazy_pattern(r"[ \t]+[^\n]{0,60}(?:[\d\"'<>|│┃\t$%!@]|:\s?\n|reset\.\r?\n)|[^ \t]")
"""Tells quickly that no value follows in most sentences about secrets."""
_SETTER = lazy_pattern(r"(?:\b|[._])set_?[^._]*\Z", re.IGNORECASE)


def find_form(text: str, start: int, end: int) -> tuple[int, str] | None:
    """Return where the value of the name at `start` to `end` begins, and the sign that ends it, or `None`."""
    if not _MAY_HAVE_VALUE.match(text, end):
        return None
    before = text[max(start - _BEFORE, 0) : start]
    for starts, between, sign, is_sure in _COMPILED.get(text[end : end + 1], ()):
        if (gap := between.match(text, end)) and starts.search(before):
            value = gap.end()
            if is_sure or _SETTER.search(text, start, end) or looks_random(word_at(text, value).strip("\"'")):
                return value, sign
    return None
