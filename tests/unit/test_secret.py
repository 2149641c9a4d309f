"""What is taken for a secret, what is not, and what is left of a text when it is shown. Secrets here are put together
at run time, so that nobody's scanner takes them for real ones."""

from __future__ import annotations

import base64
import hashlib
import random
import string
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue.errors import ConfigurationError
from pgqueue.secret import MASK, Secrets
from pgqueue.secret.chance import is_random

SECRETS = Secrets()
RANDOM = random.Random(20_24)  # noqa: S311 - a corpus, the same each time
SENTENCES = (
    "publish the quarterly report before friday morning and tell everybody in the Lisbon office about it",
    "olá pessoal hoje lançamos a nova versão do aplicativo com mais de 200 melhorias",
    "der schnelle braune Fuchs springt über den faulen Hund und 3 weitere Füchse",
    "quand le token expire il faut se reconnecter basic instructions bearer of good news 2024",
    "今日は新しいバージョンを公開しました пароль меняется каждые 90 дней στις 5 το απόγευμα",
)
WORDS = " ".join(SENTENCES).split()


def word(letters: str, size: int) -> str:
    return "".join(RANDOM.choice(letters) for _ in range(size))


def hexadecimal(size: int) -> str:
    return word("0123456789abcdef", size)


def uuid() -> str:
    return str(UUID(int=RANDOM.getrandbits(128)))


def some(count: int, between: str) -> str:
    return between.join(RANDOM.choice(WORDS) for _ in range(count))


# Whatever the field is called: none of these is a secret.
HARMLESS: dict[str, Any] = {
    "uuid": uuid,
    "uuid in capitals": lambda: uuid().upper(),
    "ulid": lambda: "01" + word("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24),
    "sha256": lambda: hashlib.sha256(RANDOM.randbytes(8)).hexdigest(),
    "etag": lambda: f'W/"{hexadecimal(32)}-{RANDOM.randrange(20)}"',
    "integrity": lambda: "sha256-" + base64.b64encode(RANDOM.randbytes(32)).decode(),
    "object id": lambda: hexadecimal(24),
    "url": lambda: f"https://www.example.org/{some(2, '/')}/{uuid()}?page={RANDOM.randrange(99)}&sort=name#top",
    "url with a port": lambda: f"http://localhost:8080/{some(2, '/')}@2x.png",
    "email": lambda: f"{RANDOM.choice(WORDS)}.{RANDOM.choice(WORDS)}+news{RANDOM.randrange(99)}@mail.example.org",
    "slug": lambda: f"{some(5, '-')}-{RANDOM.randrange(2000, 2030)}-part-{RANDOM.randrange(9)}",
    "date": lambda: f"20{RANDOM.randrange(10, 40)}-11-24T10:30:45.{RANDOM.randrange(10**6):06}+00:00",
    "file": lambda: f"IMG_2024{RANDOM.randrange(1000, 9999)}_{RANDOM.randrange(10**6)}-{some(2, '_')}.final(2).jpeg",
    "object key": lambda: f"uploads/2024/11/{uuid()}/{some(2, '-')}.png",
    "phone": lambda: f"+351 {RANDOM.randrange(10**9)}",
    "iban": lambda: f"DE{RANDOM.randrange(10**20):020}",
    "camel case": lambda: "".join(w.capitalize() for w in (RANDOM.choice(WORDS) for _ in range(5))) + "V2",
    "constant": lambda: some(4, "_").upper(),
    "module": lambda: "company.project.jobs.publishing:ProcessScheduledPostJob",
    "sentence": lambda: some(14, " "),
    "page": lambda: some(200, " "),
    "html": lambda: f'<a href="https://example.org/{some(1, "-")}" class="btn btn-primary">{some(3, " ")}</a>',
    "number": lambda: str(RANDOM.randrange(10**30)),
    "version": lambda: "v1.24.3-rc.2+build.20241124",
    "user agent": lambda: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    "image": lambda: "data:image/png;base64," + base64.b64encode(RANDOM.randbytes(400)).decode(),
    "base64 of a text": lambda: base64.b64encode(some(8, " ").encode()).decode(),
    "bare image": lambda: base64.b64encode(RANDOM.randbytes(600)).decode(),
    "json": lambda: f'{{"id": "{uuid()}", "title": "{some(4, " ")}"}}',
    "markdown": lambda: f"## {some(3, ' ')}\n\n- Basic setup\n- Bearer tokens: see the manual\n- password reset\n",
    "mastodon status": lambda: f"https://mastodon.example/@{RANDOM.choice(WORDS)}/1{RANDOM.randrange(10**17):017}",
    "timezone": lambda: "America/Argentina/ComodRivadavia",
    "locale": lambda: "pt-BR,pt;q=0.9,en-US;q=0.8",
}


@pytest.mark.parametrize("sort", HARMLESS)
def test_what_people_really_pass_is_no_secret(sort: str) -> None:
    for _ in range(300):
        text = HARMLESS[sort]()
        assert not SECRETS.looks_secret(text, "note"), text


@pytest.mark.parametrize("sort", sorted(HARMLESS.keys() - {"markdown"}))
def test_what_is_harmless_is_shown_as_it_is(sort: str) -> None:
    for _ in range(50):
        text = HARMLESS[sort]()
        assert SECRETS.redacted(text) == text


ALPHABETS = {
    "letters and digits": string.ascii_letters + string.digits,
    "url-safe": string.ascii_letters + string.digits + "-_",
    "base64": string.ascii_letters + string.digits + "+/",
    "small letters and digits": string.ascii_lowercase + string.digits,
}


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("size", [40, 43, 64])
def test_most_keys_made_by_chance_are_found(alphabet: str, size: int) -> None:
    found = sum(SECRETS.looks_secret(word(ALPHABETS[alphabet], size), "note") for _ in range(500))
    assert found > 0.85 * 500


@pytest.mark.parametrize(
    "name", ["file_id", "content_hash", "s3_key", "etag", "nextCursor", "avatarUrl", "api-version"]
)
def test_a_name_that_says_what_it_is_may_hold_chance(name: str) -> None:
    for _ in range(50):
        assert not SECRETS.looks_secret(word(ALPHABETS["url-safe"], 43), name)


def test_chance_needs_length() -> None:
    assert not any(is_random(word(ALPHABETS["url-safe"], size)) for size in range(24) for _ in range(50))


NAMES = """password db_password dbPassword DB-PASSWORD Password1 passwd pwd passphrase secret client_secret
  clientSecret token tokens access_token accessToken AccessToken X-Auth-Token oauth.token
  password_plain token_value api_key apiKey
  APIKey ApiKeys x-api-key aws_secret_access_key private_key signingKey credentials authorization cookie
  SessionCookie"""
NO_NAMES = """token_id tokenizer tokenized secret_version secretary password_hash password_reset_url cookie_policy key
  sort_key s3_key public_key monkey_name keyboard author authority authorized_by tokenCount post_id passenger bypass id
  ключ cookies_accepted secret_santa_id"""


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_that_holds_a_secret(name: str) -> None:
    assert SECRETS.names_secret(name)


@pytest.mark.parametrize("name", NO_NAMES.split())
def test_a_name_that_only_speaks_of_one(name: str) -> None:
    assert not SECRETS.names_secret(name)


A, H, D = "aB3dE6gH9" * 8, "0f" * 40, "7" * 12
SHAPES = [
    "sk_" + "live_" + A[:24],
    "rk_" + "test_" + A[:24],
    "whsec_" + A[:32],
    "ghp_" + A[:36],
    "gho_" + A[:36],
    "github_pat_" + A[:22] + "_" + A[:59],
    "glpat-" + A[:20],
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "ASIA" + "ABCDEFGHIJKLMNOP",
    "xoxb-" + D + "-" + A[:24],
    "xapp-1-" + A[:40],
    "AIza" + A[:35],
    "ya29." + A[:60],
    "GOCSPX-" + A[:28],
    "sk-proj-" + A[:48],
    "sk-" + A[:48],
    "npm_" + A[:36],
    "pypi-" + A[:64],
    "hf_" + A[:34],
    "SG." + A[:22] + "." + A[:43],
    "hvs." + A[:24],
    "shpat_" + H[:32],
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + A[:43],
    "-----BEGIN " + "RSA PRIVATE KEY-----\n" + A * 8 + "\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN " + "PRIVATE KEY-----\n" + A,
    "Bearer " + A[:32],
    "bearer " + A[:32],
    "Basic " + base64.b64encode(b"ada:hunter2").decode(),
    "https://hooks.slack.com/services/T000/B000/" + A[:24],
]
INSIDE = [  # before the secret, the secret, after it
    ("postgresql://ada:", "hun" + "ter2", "@db.example.org:5432/app"),
    ("postgresql+psycopg://ada:", "p@ss" + "w0rd", "@db/app?sslmode=require"),
    ("redis://:", "hun" + "ter2", "@cache:6379/0"),
    ("host=db user=ada password=", "hun" + "ter2", " dbname=app"),
    ("https://example.org/cb?state=1&access_token=", A[:20], "&lang=pt"),
    ("https://example.org/hook?api_key=", A[:20], ""),
]


@pytest.mark.parametrize("secret", SHAPES, ids=lambda secret: secret[:12])
def test_known_shapes_are_refused_and_masked_wherever_they_stand(secret: str) -> None:
    for text in (secret, f"see {secret} there", f"({secret})", f"a\n{secret}\nb", f"key={secret}"):
        assert SECRETS.looks_secret(text, "some_id")
        shown = SECRETS.redact(text)
        assert MASK in shown
        assert secret.rsplit(maxsplit=1)[-1][-16:] not in shown
        assert not SECRETS.looks_secret(shown)


@pytest.mark.parametrize(("before", "secret", "after"), INSIDE)
def test_only_the_secret_is_masked(before: str, secret: str, after: str) -> None:
    assert SECRETS.looks_secret(before + secret + after, "url")
    assert SECRETS.redact(before + secret + after) == before + MASK + after
    assert not SECRETS.looks_secret(before + MASK + after, "url")  # or an event could not carry a masked error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "hunter2", "n": 1}', '{"password": "***", "n": 1}'),
        ("{'api_key': 'hunter2'}", "{'api_key': '***'}"),
        ("Authorization: Basic anything", "Authorization: ***"),
        ("X-Api-Key: hunter2", "X-Api-Key: ***"),
        ("PASSWORD = hunter2", "PASSWORD = ***"),
        ("token=hunter2&page=2", "token=***&page=2"),
        ("İ token: hunter2", "İ token: ***"),
        ("a [type=x, input_value='hunter2', input_type=str]", "a [type=x, input_value=***, input_type=str]"),
        ("[parameters: {'t': 'hunter2'}]\n(Background", "[parameters: ***\n(Background"),
        ('invalid input syntax for type integer: "hunter2"', 'invalid input syntax for type integer: "***"'),
        ("DETAIL:  Failing row contains (1, hunter2).", "DETAIL:  Failing row contains ***"),
        ("https://b.example/o?X-Amz-Signature=abcdef&x=1", "https://b.example/o?X-Amz-Signature=***&x=1"),
    ],
)  # fmt: skip
def test_what_is_too_common_to_be_refused_is_still_masked(text: str, shown: str) -> None:
    assert not SECRETS.looks_secret(text.replace("password=", ""), "note") or "token=" in text
    assert SECRETS.redact(text) == shown


def test_a_value_is_masked_by_its_name_wherever_it_stands() -> None:
    given = {
        "user": {"password": "hunter2", "tokens": ["a", "b"], "name": "ada"},
        "list": [{"apiKey": 5}],
        "max_tokens": 5,
    }
    assert SECRETS.redacted(given) == {
        "user": {"password": MASK, "tokens": MASK, "name": "ada"},
        "list": [{"apiKey": MASK}],
        "max_tokens": 5,
    }


def test_nothing_is_said_of_an_empty_value() -> None:
    assert SECRETS.redacted({"token": None, "secret": ""}) == {"token": None, "secret": ""}


def test_an_application_adds_names_and_shapes_of_its_own() -> None:
    own = Secrets(frozenset({"pin", "door_code"}), (r"acme-[0-9]{6}",))
    assert own.names_secret("userPin")
    assert own.names_secret("front_door_code")
    assert not own.names_secret("spin")
    assert not own.names_secret("code")
    assert own.looks_secret("use acme-123456", "note")
    assert own.redact("use acme-123456 now") == "use *** now"


@pytest.mark.parametrize(("pattern", "what"), [("(", "no regular expression"), ("x*", "empty text")])
def test_a_pattern_that_cannot_work_is_refused(pattern: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Secrets(patterns=(pattern,))


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    assert isinstance(SECRETS.redacted({"a": [text]}), dict)
    SECRETS.looks_secret(text)


ATTACKS = [
    "x", "://a:", "://a:@", "password=", "Basic ", "Bearer ", "eyJ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----",
    "token: ",
    "input_value=", "[parameters: ", "sk-", "gh", 'password: "', "a:b@", "A1b", "authorization: bearer ",
]  # fmt: skip


@pytest.mark.parametrize("part", ATTACKS)
def test_a_text_made_to_be_slow_is_done_in_time(part: str) -> None:
    text = part * (60_000 // len(part))  # where the time grows with the square, the test's own limit is passed
    SECRETS.redact(text)
    SECRETS.looks_secret(text)


def test_a_very_long_text_is_cut() -> None:
    assert len(SECRETS.redact("x" * 10_000_000)) == 65_537
