"""Tokens of well-known vendors are found by their shape alone, and other words are not."""

from __future__ import annotations

import random
import re
import string
import uuid
import warnings
from typing import TYPE_CHECKING

import pytest

from discord_logging._masking.token_shapes import TOKEN_SHAPES, find_tokens

if TYPE_CHECKING:
    from discord_logging._masking.token_shapes import TokenShape

pytestmark = pytest.mark.once

ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "lower": string.ascii_lowercase + string.digits,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "upperhex": "0123456789ABCDEF",
    "base32": string.ascii_uppercase + "234567",
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "bech32": "023456789acdefghjklmnpqrstuvwxyz",
    "base64": string.ascii_letters + string.digits + "+/",
    "base64url": string.ascii_letters + string.digits + "-_",
}
PART = re.compile(r"\{(\w+)(?::(\d+))?\}")
PLACES = [
    ("", ""),
    ("value=", ""),
    ("got ", " from ann"),
    ("{'a': '", "', 'n': 3}"),
    ('{"a":"', '"}'),
    ("(", ")"),
    ("[", "]"),
    ("<", ">"),
    ("https://shop.example.com/?n=1&value=", "&page=2"),
    ("https://shop.example.com/?next=%2Fa%3Fvalue%3D", "&page=2"),
    ("AccountName=x;Value=", ";y"),
    ("two lines\\n", "\\n"),
    ('{"url":"https://shop.example.com/?value\\u003d', '"}'),
    ("an ümlaut ", "\nnext line"),
]
WITHOUT_PREFIX = {
    "Ably API key",
    "Azure DevOps token",
    "Azure client secret",
    "Azure common annotated key",
    "Azure identifiable key",
    "DeepL API key",
    "Discord bot token",
    "Django signed value",
    "Facebook app token",
    "Ghost admin key",
    "Mailchimp API key",
    "Mailgun API key",
    "MaxMind license key",
    "New Relic license key",
    "PagerDuty API key",
    "RapidAPI key",
    "Telegram bot token",
    "Terraform Cloud token",
    "UptimeRobot API key",
    "UptimeRobot monitor key",
    "Webex bot token",
    "Zhipu API key",
    "ngrok token",
}
"""The tokens whose vendors give them no prefix: they are recognised by a mark in their midst or at their end."""

HARMLESS = [
    "sk-SK locale loaded, the eyJ prefix, xoxb- prefix is for bots, SG.1 is the group, r8 shrinker, task-sk- is a",
    "name",
    "npm_config_registry npm_package_dependencies_express_version npm_lifecycle_event hf_hub_download re_compile",
    "glc_shader pul-request pulumi dp.pt. key-value-store-of-things pat.match.something sk_test_customer",
    "pk.primary_key",
    "key-value_pair_of_thirty_two_letters sk_learn_model_selection_train_test_split",
    "sk-learn-contrib-imbalanced-learn",
    "order 571d56c6-3ec1-409f-8202-42956f7b3a62 at 4B1D56C6-3EC1-409F-8202-42956F7B3A62 and",
    "4b1d56c63ec1409f820242956f7b3a62",
    "commit 4b1dd8b75ff2d0b1a1b3a9d3e2ab8a4ad19ef3c5,",
    "sha256:93f2eba533f3d26d8b5544cac403b321188d203e10c724abba26ff4afa912d07",
    "sha512-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 md5 c0ff9dea2405ba24113ffa5a932f15ae",
    "event 01HZXS1KCPC8YACXW1EM25PA2E replayed, trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "pod shop-7d9f8b6c5d-x2x4z on ip-10-0-12-7.eu-central-1.compute.internal, api-7d9f8b6c5d-x2x4z restarted",
    "ghcr.io/acme/shop:2026.01.31-4b1dd8b",
    "registry.example.com/shop@sha256:93f2eba533f3d26d8b5544cac403b321188d203e10c724ab",
    "/srv/app/src/sk_live_reload/index.js:12:3 /usr/lib/python3/dist-packages/ghp_import.py AKIA.txt",
    "discord_logging._masking.token_shapes.find_tokens shop.orders.tasks.process_order_2026",
    "NotificationService.create.Order",
    "see https://docs.stripe.com/keys#test-live-modes and https://docs.github.com/en/rest?apiVersion=2022-11-28",
    "https://hooks.slack.com/ https://discord.com/api/webhooks/1/*** https://api.telegram.org/bots/features",
    "s3://bucket/in/2026/01/31/part-00000-571d56c6-3ec1-409f-8202-42956f7b3a62-c000.snappy.parquet",
    "s.replace_all_the_words",
    "2026-01-31T12:00:00.123456+00:00 ts=1767225600.123 0x7ffd9a3b2c10 10.0.0.1:51234 4711-0815-2026",
    "+49-30-901820",
    "asia-northeast1-docker.pkg.dev/x ASIA_PACIFIC_REGION=1 SKU12345678 SKIP_TESTS_FOR_THIS_ENVIRONMENT",
    "KEY_VALUE_STORE",
    "test_handler_sends_what_it_was_given live_reload_of_the_page_is_on secret_not_found_in_vault",
    "api_key_missing_for_user_12",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 ann@laptop -----BEGIN PUBLIC KEY-----",
    "ey.yes eyeglasses.eyelash eyewitness-report.eyebrow whsec_missing glpat-prefix-for-personal-access-tokens",
    "shpat_missing",
    "bot1:restart vc_runtime_library_version_14 cf_distribution_id_for_the_shop hc_mirror",
    "ptr_to_something_2_with_a_longer_name",
    "accounts: AC0123456789abcdef0123456789abcdef, pk_live_51H8aBcDeFgHiJkLmNoPqRsT,",
    "arn:aws:sts::123:assumed-role/x/AROA0123456789ABCDEF",
    "pbkdf2_sha256$ $2b$ $argon2id$ $6$ sm_sat_of_the_shop xai-is-a-vendor gsk_group_of_keys dapi_version",
    "ico-arrow-left-big",
]


def build(shape: TokenShape, seed: int) -> tuple[str, str]:
    """Return a token of a shape with random letters, and its part that is the secret."""
    source = random.Random(f"{shape.name} {seed}")  # noqa: S311 -- the same in every run

    def fill(part: re.Match[str]) -> str:
        if part[1] == "uuid":
            return str(uuid.UUID(int=source.getrandbits(128), version=4))
        return "".join(source.choices(ALPHABETS[part[1]], k=int(part[2])))

    before, opening, rest = PART.sub(fill, shape.example).partition("[")
    secret, _, after = rest.partition("]") if opening else (before, "", "")
    return (before + secret + after, secret) if opening else (secret, secret)


def found(text: str, start: int = 0, end: int | None = None) -> list[str]:
    """Return the tokens that are found in a text."""
    return [text[begin:stop] for begin, stop in find_tokens(text, start, end)]


def ids(shape: TokenShape) -> str:
    return shape.name


@pytest.mark.parametrize("shape", TOKEN_SHAPES, ids=ids)
class TestTable:
    def test_finds_the_example_in_any_place(self, shape: TokenShape) -> None:
        """A token is found as a whole wherever it stands, with nothing around it."""
        for seed, (before, after) in enumerate(PLACES):
            token, secret = build(shape, seed)
            assert found(f"{before}{token}{after}") == [secret], (before, after)

    def test_begins_with_the_prefix_of_the_vendor(self, shape: TokenShape) -> None:
        """A search for the tokens of a vendor begins at its prefix."""
        has_prefix = re.match(r"(?:[\w/-]|\\[.$]){2}(?![?*+{])", shape.pattern, re.ASCII)
        assert bool(has_prefix) == (shape.name not in WITHOUT_PREFIX)

    def test_is_a_good_regular_expression(self, shape: TokenShape) -> None:
        """A pattern is valid, is documented, and has no more than the group that is the secret."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pattern = re.compile(shape.pattern, re.ASCII)
        assert pattern.groups == shape.example.count("[")
        assert "(?<" not in shape.pattern
        assert shape.source.strip()


def test_names_are_unique() -> None:
    """Every row has a name of its own."""
    names = [shape.name for shape in TOKEN_SHAPES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("text", HARMLESS)
def test_leaves_other_words_alone(text: str) -> None:
    """Words, names, numbers, digests and public identifiers are no tokens."""
    assert found(text) == []


SHAPES = {shape.name: shape for shape in TOKEN_SHAPES}
GITHUB = build(SHAPES["GitHub personal access token"], 0)[0]
SLACK = build(SHAPES["Slack token"], 0)[0]


class TestSearch:
    def test_finds_tokens_in_their_order(self) -> None:
        """Several tokens are found, each once."""
        assert found(f"{GITHUB} {SLACK},{GITHUB}") == [GITHUB, SLACK, GITHUB]

    @pytest.mark.parametrize("before", ["my", "x-", "x_", "2"])
    def test_needs_a_boundary_before_a_token(self, before: str) -> None:
        """A token does not begin within a name."""
        assert found(f"a {before}{GITHUB}") == []

    @pytest.mark.parametrize("suffix", ["n", "r", "_old", "Z9"])
    def test_takes_the_rest_of_the_word(self, suffix: str) -> None:
        """A token that is longer than documented is found whole."""
        for name in ("Pulumi access token", "GitHub personal access token", "Sentry user token", "Databricks token"):
            token = build(SHAPES[name], 0)[0]
            assert found(f"got {token}{suffix}")[0].startswith(token)

    def test_accepts_shorter_tokens_behind_a_telling_prefix(self) -> None:
        """A vendor may shorten its tokens by a quarter."""
        for name in ("GitHub personal access token", "GitLab personal access token", "npm access token"):
            prefix, length = re.match(r"([\w-]+)\{\w+:(\d+)\}", SHAPES[name].example).groups()  # type: ignore[union-attr]
            token = build(SHAPES[name], 1)[0][: len(prefix) + int(length) * 3 // 4]
            assert found(f"got {token}") == [token]

    def test_finds_a_token_that_goes_on_behind_the_end(self) -> None:
        """A caller may search a text in portions: a token belongs to the portion in which it begins."""
        text = f"ab {GITHUB} c"
        assert found(text, 0, 4) == [GITHUB]
        assert found(text, 0, 3) == []

    def test_finds_a_token_at_the_start_of_a_portion(self) -> None:
        """The text before a portion tells whether a token can begin there."""
        for before in ("ab ", "ab%3D", "ab\\n", "ab\\u003d"):
            assert found(f"{before}{GITHUB}", len(before)) == [GITHUB]
            assert found(f"{before}{GITHUB}", len(before) + 1) == []
        assert found(f"ab{GITHUB}", 2) == []

    def test_finds_every_token_once_in_portions_of_any_size(self) -> None:
        """No token is lost or doubled at the border of two portions."""
        text = f"{SLACK} a=%3D{GITHUB}&x={SLACK}"
        for size in range(1, 80, 7):
            tokens = [token for start in range(0, len(text), size) for token in found(text, start, start + size)]
            assert tokens == [SLACK, GITHUB, SLACK]
