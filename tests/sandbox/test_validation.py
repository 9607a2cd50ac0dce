"""Tests of Discord's rules for a message, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from discord_logging.sandbox._body import secure_filename
from discord_logging.sandbox._models import File
from discord_logging.sandbox._validation import Form, validate
from tests.sandbox._refusals import codes_at, refusal_of


def accept(payload: dict[str, Any], *files: File) -> Form:
    """Return the form of a valid payload."""
    return validate(payload, list(files), with_components=True)


def refuse(payload: dict[str, Any], *files: File) -> dict[str, Any]:
    """Return the body of the response that refuses a payload."""
    return refusal_of(lambda: accept(payload, *files))


def file(name: str, number: int = 0) -> File:
    """Return a file as it arrives with a request."""
    return File(name, "text/plain", b"x", name, None, str(number))


def embed(**values: Any) -> dict[str, Any]:
    """Return a payload with one embed."""
    return {"embeds": [values]}


FULL = {
    "title": "t" * 256,
    "description": "d" * 100,
    "url": "https://example.org/x",
    "timestamp": "2026-08-06T11:31:01.123+00:00",
    "color": 0xFFFFFF,
    "footer": {"text": "f" * 2048, "icon_url": "https://example.org/i.png"},
    "author": {"name": "a" * 256, "url": "http://example.org", "icon_url": "attachment://a.png"},
    "image": {"url": "attachment://a.png", "description": "alt"},
    "thumbnail": {"url": "https://192.0.2.1/t.png"},
    "fields": [{"name": "n" * 256, "value": "v" * 1024, "inline": True}, {"name": "", "value": "", "inline": False}],
}


def test_an_embed_at_every_limit_passes_unchanged() -> None:
    """Limits are inclusive, and every part of an embed is kept."""
    assert accept({"embeds": [FULL]}, file("a.png")).embeds == [{"type": "rich", **FULL}]


def test_lengths_are_code_points_after_trimming() -> None:
    """An astral character counts as one; surrounding white space and stripped characters do not count."""
    form = accept({"content": "  " + "😀" * 2000 + "\n", **embed(title="\u202e" + "x" * 256 + "\x00")})
    assert (len(form.content), form.embeds[0]["title"]) == (2000, "x" * 256)
    assert accept({"content": "\u200b  a\tb\x1b[0m"}).content == "\u200b  a\tb\x1b[0m"


def test_ignored_values_are_dropped() -> None:
    """Unknown keys, a given type, nulls and empty parts are dropped, and numbers become text."""
    payload = embed(type="link", provider={"name": "x"}, title=12, footer={"text": " "}, author=None, fields=None)
    assert accept({**payload, "content": None, "nonce": 1, "embeds": [*payload["embeds"], {}]}).embeds == [
        {"type": "rich", "title": "12"}
    ]


def test_the_sum_over_all_embeds_has_a_limit() -> None:
    """6000 characters pass, 6001 do not, and the content does not count."""
    parts = [{"description": "d" * 4096}, {"footer": {"text": "f" * 1900}, "fields": [{"name": "n", "value": "v" * 3}]}]
    accept({"content": "c" * 2000, "embeds": parts})
    parts.append({"author": {"name": "x"}})
    assert codes_at(refuse({"embeds": parts})["errors"], "embeds") == ["MAX_EMBED_SIZE_EXCEEDED"]


@pytest.mark.parametrize(
    ("payload", "path", "code"),
    [
        ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
        ({"content": ["x"]}, "content", "STRING_TYPE_CONVERT"),
        ({"tts": "maybe"}, "tts", "BOOLEAN_TYPE_CONVERT"),
        ({"username": ""}, "username", "BASE_TYPE_BAD_LENGTH"),
        ({"username": "x" * 81}, "username", "BASE_TYPE_BAD_LENGTH"),
        ({"username": "My DisCord"}, "username", "USERNAME_INVALID_CONTAINS"),
        ({"username": "clyde2"}, "username", "USERNAME_INVALID_CONTAINS"),
        ({"username": " Here "}, "username", "USERNAME_INVALID"),
        ({"avatar_url": ""}, "avatar_url", "URL_TYPE_INVALID_URL"),
        ({"avatar_url": "attachment://a.png"}, "avatar_url", "URL_TYPE_INVALID_SCHEME"),
        ({"flags": True}, "flags", "NUMBER_TYPE_COERCE"),
        ({"thread_name": "x" * 101}, "thread_name", "BASE_TYPE_BAD_LENGTH"),
        ({"applied_tags": ["1"] * 6}, "applied_tags", "BASE_TYPE_MAX_LENGTH"),
        ({"applied_tags": ["x"]}, "applied_tags.0", "NUMBER_TYPE_COERCE"),
        ({"embeds": {}}, "embeds", "LIST_TYPE_CONVERT"),
        ({"embeds": [{}] * 11}, "embeds", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{}, "x"]}, "embeds.1", "MODEL_TYPE_CONVERT"),
        (embed(title="x" * 257), "embeds.0.title", "BASE_TYPE_MAX_LENGTH"),
        (embed(description="x" * 4097), "embeds.0.description", "BASE_TYPE_MAX_LENGTH"),
        (embed(footer={"text": "x" * 2049}), "embeds.0.footer.text", "BASE_TYPE_MAX_LENGTH"),
        (embed(footer={"text": "x", "icon_url": "ftp://a.b"}), "embeds.0.footer.icon_url", "URL_TYPE_INVALID_SCHEME"),
        (embed(author={"name": "x" * 257}), "embeds.0.author.name", "BASE_TYPE_MAX_LENGTH"),
        (embed(author={"name": "x", "url": "attachment://a"}), "embeds.0.author.url", "URL_TYPE_INVALID_SCHEME"),
        (
            embed(image={"url": "attachment://b.png"}),
            "embeds.0.image.url",
            "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
        ),
        (embed(url="http://localhost:8000/x"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
        (embed(url="example.org"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
        (embed(url="http://[::1"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
        (embed(url="https://a.b/c d"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
        (embed(url="javascript:alert(1)"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
        (embed(url="https://a.b/" + "x" * 2048), "embeds.0.url", "BASE_TYPE_MAX_LENGTH"),
        (embed(color="#ff0000"), "embeds.0.color", "NUMBER_TYPE_COERCE"),
        (embed(color=1.5), "embeds.0.color", "NUMBER_TYPE_COERCE"),
        (embed(color=0x1000000), "embeds.0.color", "NUMBER_TYPE_MAX"),
        (embed(color=-1), "embeds.0.color", "NUMBER_TYPE_MIN"),
        (embed(timestamp=1786015861), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
        (embed(timestamp="2026-13-01T00:00:00Z"), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
        (embed(timestamp="2026-08-06T11:31:01+24:00"), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
        (embed(fields=[{"name": "n", "value": "v"}] * 26), "embeds.0.fields", "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n" * 257, "value": "v"}]), "embeds.0.fields.0.name", "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n", "value": "v" * 1025}]), "embeds.0.fields.0.value", "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n"}]), "embeds.0.fields.0.value", "BASE_TYPE_REQUIRED"),
        (embed(fields=[{"name": "", "value": "", "inline": 2}]), "embeds.0.fields.0.inline", "BOOLEAN_TYPE_CONVERT"),
        ({"allowed_mentions": []}, "allowed_mentions", "MODEL_TYPE_CONVERT"),
        ({"allowed_mentions": {"parse": ["all"]}}, "allowed_mentions.parse.0", "BASE_TYPE_CHOICES"),
        ({"allowed_mentions": {"users": [1] * 101}}, "allowed_mentions.users", "BASE_TYPE_MAX_LENGTH"),
        ({"allowed_mentions": {"roles": ["x"]}}, "allowed_mentions.roles.0", "NUMBER_TYPE_COERCE"),
        (
            {"allowed_mentions": {"parse": ["roles", "users", "roles"]}},
            "allowed_mentions.parse.2",
            "SET_TYPE_ALREADY_CONTAINS_VALUE",
        ),
        ({"allowed_mentions": {"users": [1, "1"]}}, "allowed_mentions.users.1", "SET_TYPE_ALREADY_CONTAINS_VALUE"),
        (
            {"allowed_mentions": {"parse": ["users"], "users": ["1"]}},
            "allowed_mentions",
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        ({"attachments": [{"id": "x"}]}, "attachments.0.id", "NUMBER_TYPE_COERCE"),
        ({"attachments": [{"id": 0}] * 11}, "attachments", "BASE_TYPE_MAX_LENGTH"),
        ({"attachments": [{"id": 0, "filename": "x" * 1025}]}, "attachments.0.filename", "BASE_TYPE_BAD_LENGTH"),
    ],
)
def test_each_broken_rule_has_its_path_and_code(payload: dict[str, Any], path: str, code: str) -> None:
    """The tree has that error and no other."""
    body = refuse({"content": "x", **payload}, file("a.png"))
    assert (body["code"], body["message"]) == (50035, "Invalid Form Body")
    assert codes_at(body["errors"], path) == [code]


@pytest.mark.parametrize(
    "payload",
    [
        {"username": "@a #b :c everyone1"},
        {"allowed_mentions": {"parse": ["users"], "users": [], "roles": ["1"], "replied_user": False}},
        {"allowed_mentions": {"parse": None, "users": None}},
        embed(timestamp="2026-08-06T11:31"),
        embed(timestamp="2026-08-06T11:31:01.123456789Z"),
        embed(author={"url": "https://example.org"}, footer={"icon_url": "https://example.org/i.png"}),
        embed(image={"url": None, "description": "alt"}, thumbnail={}),
        embed(color="255"),
        embed(color=255.0),
        embed(url="HTTPS://example.org"),
        {"flags": 4 | 4096},
    ],
)
def test_unusual_but_valid_payloads_pass(payload: dict[str, Any]) -> None:
    """Discord accepts these payloads."""
    accept({"content": "x", **payload})


def test_a_time_without_an_offset_is_utc() -> None:
    """A missing offset is added, and a given one is kept; a space may stand for the T."""
    times = ["2026-08-06T11:31:01", "2026-08-06T11:31:01+02:00", "2026-08-06 11:31:01"]
    form = accept({"embeds": [{"title": "x", "timestamp": time} for time in times]})
    utc, offset = "2026-08-06T11:31:01+00:00", "2026-08-06T11:31:01+02:00"
    assert [part["timestamp"] for part in form.embeds] == [utc, offset, utc]


def test_parts_without_their_main_value_do_not_exist() -> None:
    """An author without a name, a footer without a text and an image without an address are left out."""
    icon = {"icon_url": "https://example.org/i.png"}
    form = accept(
        embed(title="x", author={**icon, "name": " "}, footer=icon, image={"url": None, "description": "alt"})
    )
    assert form.embeds == [{"type": "rich", "title": "x"}]


def test_flags_that_a_webhook_cannot_set_are_ignored() -> None:
    """Clients send flags such as EPHEMERAL (64) of their own accord."""
    assert accept({"content": "x", "flags": 64 | 4096}).flags == 4096


def test_an_attachment_may_have_a_title() -> None:
    """The title is shown, and `attachment://` refers to the file name."""
    (kept,) = accept({"attachments": [{"id": 0, "filename": "b c.txt", "title": "A title"}]}, file("a.txt")).files
    assert (kept.filename, kept.title) == ("b_c.txt", "A title")


def test_a_username_is_collapsed_before_it_is_measured() -> None:
    """A run of white space counts as one character."""
    assert accept({"content": "x", "username": "a" + " " * 100 + "b"}).username == "a b"


def test_metadata_must_have_its_file() -> None:
    """The metadata of a file that was not uploaded is refused."""
    assert refuse({"attachments": [{"id": 1, "filename": "a.txt"}]}, file("a.txt"))["code"] == 50146


def test_several_errors_come_in_one_tree() -> None:
    """One response has all errors."""
    tree = refuse({"content": "x" * 2001, "embeds": [{"title": "x" * 257}, {"color": -1}]})["errors"]
    assert (set(tree), set(tree["embeds"])) == ({"content", "embeds"}, {"0", "1"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.log", "a_b.log"),
        ("__x[1].log", "x1.log"),
        ("näh.txt", "nah.txt"),
        ("../../etc/passwd", "etc_passwd"),
        ("日本", "unknown"),
    ],
)
def test_file_names_are_sanitised(name: str, expected: str) -> None:
    """The result is that of werkzeug's `secure_filename`."""
    assert secure_filename(name) == expected


TEXT = {"type": 10, "content": "x"}
LINK = {"type": 2, "style": 5, "label": "l", "url": "https://example.org"}
LAYOUT = [
    {"type": 17, "accent_color": 1, "components": [TEXT, {"type": 14}]},
    {"type": 9, "components": [TEXT], "accessory": {"type": 11, "media": {"url": "attachment://a.png"}}},
    {"type": 9, "components": [TEXT], "accessory": LINK},
    {"type": 12, "items": [{"media": {"url": "https://example.org/a.png"}, "description": "d"}]},
    {"type": 13, "file": {"url": "attachment://a.png"}},
    {"type": 1, "components": [LINK]},
]


def test_a_layout_of_every_component_passes() -> None:
    """With the flag all components without interaction pass; without it, only rows of links."""
    assert accept({"flags": 32768, "components": LAYOUT}, file("a.png")).components == LAYOUT
    assert accept({"content": "x", "components": LAYOUT[-1:]}).components == LAYOUT[-1:]


def test_without_the_flag_there_are_five_rows() -> None:
    """Five rows pass and six do not; with the flag there may be more."""
    row = {"type": 1, "components": [LINK]}
    assert len(accept({"content": "x", "components": [row] * 5}).components) == 5
    six = {"content": "x", "components": [row] * 6}
    assert codes_at(refuse(six)["errors"], "components") == ["BASE_TYPE_MAX_LENGTH"]
    assert len(accept({"flags": 32768, "components": [row] * 6}).components) == 6


# A pictograph, with a variant selector, a skin tone, a joiner and tags; a flag, a key and a custom emoji.
EMOJI = "\U0001f6a8 \u26a0\ufe0f \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f4bb \U0001f3f4\U000e0067\U000e007f"
EMOJI += " \U0001f1eb\U0001f1f7 1\ufe0f\u20e3"


@pytest.mark.parametrize("emoji", [*({"name": name} for name in EMOJI.split()), {"id": "41771983429993937"}, {}, None])
def test_buttons_may_have_emoji(emoji: dict[str, Any] | None) -> None:
    """An emoji of Unicode and an id that a custom emoji can have pass."""
    accept({"content": "x", "components": [{"type": 1, "components": [{**LINK, "emoji": emoji}]}]})


@pytest.mark.parametrize(
    ("emoji", "key", "code"),
    [
        ({"name": "\u25b2"}, "name", "COMPONENT_INVALID_EMOJI"),
        ({"name": ":tada:"}, "name", "COMPONENT_INVALID_EMOJI"),
        ({"name": "\U0001f6a8!"}, "name", "COMPONENT_INVALID_EMOJI"),
        ({"name": "x", "id": "1"}, "id", "COMPONENT_INVALID_EMOJI"),
        ({"id": "x"}, "id", "NUMBER_TYPE_COERCE"),
    ],
)
def test_unknown_emoji_are_refused(emoji: dict[str, Any], key: str, code: str) -> None:
    """A symbol that is no emoji, a name in colons, and an id that Discord cannot have given are errors."""
    tree = refuse({"content": "x", "components": [{"type": 1, "components": [{**LINK, "emoji": emoji}]}]})["errors"]
    assert codes_at(tree, f"components.0.components.0.emoji.{key}") == [code]


@pytest.mark.parametrize(
    ("items", "path", "code"),
    [
        ([TEXT] * 41, "components", "BASE_TYPE_MAX_LENGTH"),
        ([{"type": 17, "components": [TEXT] * 40}], "components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"),
        ([{**TEXT, "content": "x" * 3000}] * 2, "components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"),
        ([{"type": 3}], "components.0.type", "UNION_TYPE_CHOICES"),
        ([{"type": 12, "items": []}], "components.0.items", "BASE_TYPE_REQUIRED"),
        ([{"type": 14, "spacing": 3}], "components.0.spacing", "BASE_TYPE_CHOICES"),
        ([{"type": 14, "divider": 3}], "components.0.divider", "BOOLEAN_TYPE_CONVERT"),
        ([{"type": 10}], "components.0.content", "BASE_TYPE_REQUIRED"),
        ([{"type": 17}], "components.0.components", "BASE_TYPE_REQUIRED"),
        ([{"type": 17, "components": [LAYOUT[0]]}], "components.0.components.0.type", "UNION_TYPE_CHOICES"),
        ([{"type": 9, "components": [TEXT]}], "components.0.accessory.type", "UNION_TYPE_CHOICES"),
        ([{"type": 13, "file": {"url": "https://a.b"}}], "components.0.file.url", "URL_TYPE_INVALID_SCHEME"),
        (
            [{"type": 1, "components": [{**LINK, "style": 1}]}],
            "components.0.components.0.style",
            "BASE_TYPE_CHOICES",
        ),
    ],
)
def test_each_broken_rule_of_components_has_its_code(items: list[dict[str, Any]], path: str, code: str) -> None:
    """Interactive buttons, nested containers and too many components are refused."""
    assert codes_at(refuse({"flags": 32768, "components": items})["errors"], path) == [code]


def test_unknown_keys_of_a_component_are_ignored() -> None:
    """Discord ignores children of a text and the accessory of a container."""
    text = {**TEXT, "components": [1], "accessory": "x"}
    assert accept({"flags": 32768, "components": [{"type": 17, "components": [text], "accessory": "x"}]}).components


def test_components_exclude_content_and_embeds() -> None:
    """With the flag, content and embeds are errors."""
    tree = refuse({"flags": 32768, "components": [TEXT], "content": "x", "embeds": [{"title": "x"}]})["errors"]
    assert set(tree) == {"content", "embeds"}
