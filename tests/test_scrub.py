"""The scrubber: what is secret is hidden wherever it stands, what is not stays, and every text is cut to its bound."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import OperationalError

from otel_monitoring.errors.secrecy.scrub import BOUNDS, HIDDEN, Bounds, Scrubber

if TYPE_CHECKING:
    from collections.abc import Callable

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\nq8Xy+/0=\n-----END RSA PRIVATE KEY-----"

BY_NAME = [
    ("password=hunter2 user=bob", "password=*** user=bob"),
    ("Password: hunter2", "Password: ***"),
    ("db_password = 'hunter2'", "db_password = '***'"),
    ("MYSQL_PWD=hunter2 PGPASSWORD=hunter2 psql", "MYSQL_PWD=*** PGPASSWORD=*** psql"),
    ("API key: hunter2", "API key: ***"),
    ("x-api-key: hunter2", "x-api-key: ***"),
    ("pin=1234, otp: 482913", "pin=***, otp: ***"),
    ("token=482913", "token=***"),
    ("--token=hunter2 --verbose", "--token=*** --verbose"),
    ("mysql --password hunter2 -h db", "mysql --password *** -h db"),
    ("['mysql', '--password', 'hunter2', '-h', 'db']", "['mysql', '--password', '***', '-h', 'db']"),
    ("host=db user=app password=hunter2 dbname=x", "host=db user=app password=*** dbname=x"),
    ("Server=db;User Id=app;Pwd=hunter2;Timeout=3", "Server=db;User Id=app;Pwd=***;Timeout=3"),
    ("AccountName=x;AccountKey=aHVudGVyMg==;Suffix=y", "AccountName=x;AccountKey=***;Suffix=y"),
    ("retrying (password=hunter2)", "retrying (password=***)"),
    ("password=p,w)d;x next", "password=*** next"),
    # reprs and source code
    ("User(name='bob', password='hunter2')", "User(name='bob', password='***')"),
    ("User(name='bob', password=b'hunter2')", "User(name='bob', password=b'***')"),
    ("auth=('bob', 'hunter2'), timeout=3", "auth=***, timeout=3"),
    ("auth=BasicAuth(login='bob', password='it (is)'), x=1", "auth=***, x=1"),
    ("credentials=Credentials('bob', 'hunter2') failed", "credentials=*** failed"),
    ("cookies=<RequestsCookieJar[<Cookie sid=hunter2 for x/>]> x", "cookies=*** x"),
    ("Cookie(name='sessionid', value='hunter2', port=None)", "Cookie(name='sessionid', value='***', port=None)"),
    ('os.environ["API_KEY"] = "hunter2"', 'os.environ["API_KEY"] = "***"'),
    ('password: str = "hunter2"', "password: ***"),
    ("def login(user: str, password: str | None = 'hunter2') -> None:", "def login(user: str, password: ***) -> None:"),
    ('token = get_token("hunter2").strip()', "token = ***"),
    ("assert password == 'hunter2'", "assert password == '***'"),
    ("password = '''hunter2'''", "password = '***'"),
    # JSON, and JSON in JSON, in a repr, cut off
    ('{"password": "hunter2", "user": "bob"}', '{"password": "***", "user": "bob"}'),
    ('{"password": "hun\\"ter2", "user": "bob"}', '{"password": "***", "user": "bob"}'),
    ('"{\\"password\\": \\"hunter2\\", \\"x\\": 1}"', '"{\\"password\\": \\"***\\", \\"x\\": 1}"'),
    ('\'{"password": "it\\\'s", "x": 1}\'', '\'{"password": "***", "x": 1}\''),
    ('{"user": "bob", "password": "hunt', '{"user": "bob", "password": "***'),
    ('{"api_keys": ["hunter2", "hunter3"], "n": 2}', '{"api_keys": ***, "n": 2}'),
    ('{"credentials": {"a": "}", "b": "hunter2"}, "n": 2}', '{"credentials": ***, "n": 2}'),
    ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": "***"}'),
    # headers
    ("Authorization: Bearer hunter2", "Authorization: ***"),
    ("cookies: a=hunter2; b=hunter3", "cookies: ***"),
    ("user/password: hunter2", "user/password: ***"),
    ('Authorization: Digest username="bob", response="hunter2"\nHost: x', "Authorization: ***\nHost: x"),
    ("Authorization=Bearer hunter2 status=401", "Authorization=*** status=401"),
    ("{'Authorization': 'Bearer hunter2', 'Accept': '*/*'}", "{'Authorization': '***', 'Accept': '*/*'}"),
    ("b'GET / HTTP/1.1\\r\\nCookie: a=hunter2; b=c\\r\\nHost: x'", "b'GET / HTTP/1.1\\r\\nCookie: ***\\r\\nHost: x'"),
    ("curl -H 'Cookie: a=hunter2; b=c' https://x.io", "curl -H 'Cookie: ***' https://x.io"),
    ("[(b'host', b'x'), (b'cookie', b'a=hunter2; b=c')]", "[(b'host', b'x'), (b'cookie', b'***')]"),
    ("('authorization', 'Bearer hunter2')", "('authorization', '***')"),
    # URLs and bodies
    ("GET /x?page=2&access_token=hunter2&limit=5 HTTP/1.1", "GET /x?page=2&access_token=***&limit=5 HTTP/1.1"),
    ("'https://x.io/v1?api_key=hunter2', 5", "'https://x.io/v1?api_key=***', 5"),
    ("body b'user=bob&password=hunter2'", "body b'user=bob&password=***'"),
    ("<user>bob</user><ns:password>hunter2</ns:password>", "<user>bob</user><ns:password>***</ns:password>"),
    # sentences
    ("Invalid API key 'hunter2' given", "Invalid API key '***' given"),
    ('wrong password "hunter2" for bob', 'wrong password "***" for bob'),
    ("DETAIL:  Key (api_key)=(hunter2) already exists.", "DETAIL:  Key (api_key)=*** already exists."),
    ("passphrase: correct horse battery\nnext", "passphrase: ***\nnext"),
]

BY_SHAPE = [
    ("got Bearer abcdef123456 and failed", "got Bearer *** and failed"),
    ("bearer Bearer abcdef123456", "bearer Bearer ***"),
    ("sent Basic Ym9iOmh1bnRlcjI= to", "sent Basic *** to"),
    (f"jwt {JWT} expired", "jwt *** expired"),
    (f"x={JWT[:60]}", "x=***"),
    (f"pem:\n{PEM}\nend", "pem:\n***\nend"),
    (f"pem: {PEM[:60]}", "pem: ***"),
    (repr(PEM), "'***'"),
    ("card 4111 1111 1111 1111 declined", "card *** declined"),
    ("card 4111-1111-1111-1111 declined", "card *** declined"),
    ("card 4111111111111111.", "card ***."),
    ("amex 3782 822463 10005", "amex ***"),
    ("on 2026-11-25 5555555555554444 was used", "on 2026-11-25 *** was used"),
    ("on 2026-11-25 5555 5555 5555 4444 was used", "on 2026-11-25 *** was used"),
    ("postgresql://app:hunter2@db:5432/x?sslmode=require", "postgresql://app:***@db:5432/x?sslmode=require"),
    ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
    ("amqp://app:p@ss@mq/v", "amqp://app:***@mq/v"),
    ("mysql://app:a/b#c@db/x", "mysql://app:***@db/x"),
    ("https://0123456789abcdef0123@sentry.io/4", "https://***@sentry.io/4"),
    ("https://x-access-token:hunter2@github.com/a", "https://x-access-token:***@github.com/a"),
    ("aws AKIAIOSFODNN7EXAMPLE is unknown", "aws *** is unknown"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", HIDDEN),
    ("github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwx", HIDDEN),
    ("xoxb-123456789012-abcdefghijkl", HIDDEN),
    ("sk_live_abcdefghijklmnop", HIDDEN),
    ("Incorrect key provided: sk-proj-abc123def456ghi789", "Incorrect key provided: ***"),
    ("'\\nsk-ant-api03-abc123def456ghi789'", "'\\n***'"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", HIDDEN),
    (
        "https://api.telegram.org/bot123456789:AAabcdefghijklmnopqrstuvwxyz0123456/x",
        "https://api.telegram.org/bot***/x",
    ),
    (
        "DETAIL:  Failing row contains (1, bob, hunter2).\nCONTEXT:  x",
        "DETAIL:  Failing row contains (***\nCONTEXT:  x",
    ),
]

KEPT = """
request failed: timeout after 30 s
input_tokens: 812, output_tokens: 95
max_tokens=4096 temperature=0.7
{"usage": {"prompt_tokens": 812, "completion_tokens": 95}}
tokens_per_second=31.4 token_type=bearer expires_in=3600
{'token_count': '812', 'password_changed_at': '2026-11-25'}
author: Jane Doe, authority: none, secretary: Jane
keyboard: qwerty; primary_key=id; foreign_key='user_id'; cache key: user:5
password=None token='' {"password": null, "has_password": true}
https://api.example.com:8443/v1/x?page=2&sort=name
https://user@example.com/path http://localhost:8080 ssh://git@github.com/a/b.git
https://medium.com/@user/post:1 https://host:8080/@me
at 2026-11-25 13:45:12.123456+00:00 1700000000000 1700000000000000000
order 1234567890123, account 12345678901234567890
id=550e8400-e29b-41d4-a716-446655440000 sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
phone +49 30 901820 or 0049-170-1234567
wrong check digit 4111 1111 1111 1112
a float 0.4532015112830366
basic plan, Basic auth failed, Bearer token expired
WWW-Authenticate: Bearer realm="x", error="invalid_token"
risk-assessment-of-long-names sk-learn-is-not-a-key
Unexpected token } in JSON at position 3
FATAL:  password authentication failed for user "bob"
jwt.exceptions.InvalidTokenError: Not enough segments
KeyError: 'password'
session=<sqlalchemy.orm.session.Session object at 0x7f>
File "/app/auth/token.py", line 5, in get_token
token.py:45: DeprecationWarning
/run/secrets/db_password: permission denied
the password policy: at least 8 characters
could not read secret from vault: timeout
missing fields: ['password', 'email', 'name']
bob@example.com could not be reached
-----BEGIN CERTIFICATE-----
usage: login <user> <password>
mapping: opinion, shopping: 3, compass: north, bypass: yes, classpath=/x
""".strip().splitlines()

SECRET_NAMES = (
    *(
        "password",
        "Password",
        "user.password",
        "passwords",
        "passwd",
        "pwd",
        "db_password1",
        "PGPASSWORD",
        "passphrase",
        "passcode",
        "Passwort",
        "pass",
        "user_pass",
    ),
    *(
        "token",
        "accessToken",
        "refresh-token",
        "csrfmiddlewaretoken",
        "X-CSRF-Token",
        "csrf",
        "xsrf",
        "authtoken",
        "id_token",
        "tokens",
        "auth_tokens",
    ),
    *(
        "api_key",
        "apiKey",
        "APIKey",
        "X-API-Key",
        "apikey",
        "api-keys",
        "private_key",
        "PrivateKey",
        "access_key",
        "aws_access_key_id",
        "signing_key",
    ),
    *(
        "Ocp-Apim-Subscription-Key",
        "AccountKey",
        "SharedAccessKey",
        "secret",
        "SECRET_KEY",
        "client_secret",
        "clientSecret",
        "secrets",
    ),
    *(
        "authorization",
        "Authorization",
        "HTTP_AUTHORIZATION",
        "Proxy-Authorization",
        "auth",
        "basic_auth",
        "auth_header",
    ),
    *(
        "cookie",
        "Cookie",
        "Set-Cookie",
        "cookies",
        "cookie_jar",
        "session_id",
        "sessionid",
        "PHPSESSID",
        "sessionKey",
        "credential",
        "credentials",
    ),
    *(
        "jwt",
        "bearer",
        "X-Amz-Signature",
        "sig",
        "cvv",
        "cvc2",
        "pin",
        "card_pin",
        "otp",
        "totp",
        "ssn",
        "card_number",
        "creditCard",
        "verificationCode",
    ),
)

HARMLESS_NAMES = (
    *(
        "token_count",
        "token_type",
        "tokens_per_second",
        "tokenizer",
        "token_limit",
        "author",
        "authority",
        "keyboard",
        "key",
        "keys",
        "primary_key",
    ),
    *(
        "cache_key",
        "public_key",
        "cookie_banner_shown",
        "cookie_domain",
        "password_changed_at",
        "password_policy",
        "secretary",
        "session",
    ),
    *(
        "sessions",
        "spinning",
        "mapping",
        "opinion",
        "compass",
        "passed",
        "pass_rate",
        "passenger",
        "bypass",
        "signal",
        "design",
        "code",
        "status_code",
    ),
    *(
        "auth_method",
        "auth_url",
        "oauth2",
        "user_id",
        "login",
        "name",
        "url",
        "prospect_id",
        "InvalidTokenError",
        "secret_name",
    ),
)

scrubber = Scrubber()


@pytest.mark.parametrize(("text", "clean"), BY_NAME)
def test_what_stands_under_a_secret_name_in_a_text_is_hidden(text: str, clean: str) -> None:
    assert scrubber.text(text) == clean


@pytest.mark.parametrize(("text", "clean"), BY_SHAPE)
def test_what_has_a_secret_s_shape_is_hidden_wherever_it_stands(text: str, clean: str) -> None:
    assert scrubber.text(text) == clean


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_comes_back_as_it_is(text: str) -> None:
    assert scrubber.text(text) == text


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names_are_known_however_they_are_written(name: str) -> None:
    assert scrubber.is_secret(name)
    assert scrubber.mapping({name: "hunter2"}) == {name: HIDDEN}
    of_bytes: dict[object, object] = {name.encode(): {"inside": ["hunter2"]}}
    assert scrubber.mapping(of_bytes) == {name: HIDDEN}
    assert scrubber.text(f"{name}='hunter2' x") == f"{name}='{HIDDEN}' x"


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_names_that_only_resemble_secret_ones_are_not(name: str) -> None:
    assert not scrubber.is_secret(name)
    assert scrubber.mapping({name: "shown"}) == {name: "shown"}
    assert scrubber.text(f"{name}='shown' x") == f"{name}='shown' x"


@pytest.mark.parametrize("value", [812, 0, 0.5, True, False, None, ""])
def test_numbers_flags_and_nothing_under_a_token_s_name_are_counts_and_stay(value: object) -> None:
    assert scrubber.mapping({"token": value, "max_tokens": value}) == {"token": value, "max_tokens": value}


def test_numbers_under_a_password_s_name_are_hidden() -> None:
    assert scrubber.mapping({"pin": 1234, "password": 1.5, "cvv": 0, "otp": None}) == {
        "pin": HIDDEN,
        "password": HIDDEN,
        "cvv": HIDDEN,
        "otp": None,
    }


def test_counts_of_tokens_stay_as_texts_and_by_kind_and_a_list_of_tokens_does_not() -> None:
    given: dict[object, object] = {"max_tokens": "4096", "tokens": {"input": 812, "output": 95}}
    assert scrubber.mapping(given) == given
    assert scrubber.mapping({"tokens": ["a", "b"], "auth_tokens": {"a": "b"}}) == {
        "tokens": HIDDEN,
        "auth_tokens": HIDDEN,
    }


def test_pairs_flags_and_records_in_a_structure_hide_what_their_names_call_secret() -> None:
    given: dict[object, object] = {
        "headers": [(b"host", b"x"), (b"authorization", b"Bearer hunter2"), ["Cookie", "a=b"]],
        "command": ["mysql", "--password", "hunter2", "-h", "db", "--token=hunter2"],
        "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOME", "value": "/root"}],
        "errors": [{"loc": ("body", "password"), "input": "hunter2"}, {"loc": ("body", "name"), "input": "bob"}],
    }
    assert scrubber.mapping(given) == {
        "headers": [["host", "x"], ["authorization", HIDDEN], ["Cookie", HIDDEN]],
        "command": ["mysql", "--password", HIDDEN, "-h", "db", f"--token={HIDDEN}"],
        "environment": [{"name": "DB_PASSWORD", "value": HIDDEN}, {"name": "HOME", "value": "/root"}],
        "errors": [{"loc": ["body", "password"], "input": HIDDEN}, {"loc": ["body", "name"], "input": "bob"}],
    }


def test_secrets_in_keys_are_hidden_and_what_stood_under_them_is_kept_apart() -> None:
    given: dict[object, object] = {f"Bearer abcdef{number}": number for number in range(3)}
    assert scrubber.mapping(given) == {"Bearer ***": 0, "Bearer *** (2)": 1, "Bearer *** (3)": 2}


def test_an_integer_that_is_a_card_number_is_hidden() -> None:
    assert scrubber.mapping({"paid_with": 4111111111111111, "at": 1700000000000}) == {
        "paid_with": HIDDEN,
        "at": 1700000000000,
    }


class Login(BaseModel):
    """What Pydantic is asked to check."""

    name: int
    password: str = Field(min_length=30)


def test_what_pydantic_says_of_a_refused_password_does_not_hold_it() -> None:
    with pytest.raises(ValidationError) as refused:
        Login.model_validate({"name": "bob", "password": "hunter2"})
    clean = scrubber.text(str(refused.value))
    assert "hunter2" not in clean
    assert "input_value=***, input_type=str" in clean
    assert "input_value='bob'" in clean
    assert scrubber.mapping({"errors": refused.value.errors()})["errors"] == [
        {**problem, "loc": list(problem["loc"]), "input": HIDDEN if problem["loc"] == ("password",) else "bob"}
        for problem in refused.value.errors()
    ]


def test_what_fastapi_says_of_a_refused_password_does_not_hold_it() -> None:
    problem = {"type": "string_too_short", "loc": ("body", "password"), "msg": "too short", "input": "hunter2"}
    assert scrubber.text(f"1 validation error:\n  {problem}") == (
        f"1 validation error:\n  {problem | {'input': HIDDEN}}"
    )


def test_what_sqlalchemy_says_of_a_statement_hides_the_values_of_a_secret_column() -> None:
    users = sqlalchemy.table("users", sqlalchemy.column("name"), sqlalchemy.column("password"))
    posts = sqlalchemy.table("posts", sqlalchemy.column("name"), sqlalchemy.column("tokens"))
    said: list[str] = []
    failing: list[tuple[sqlalchemy.Insert, dict[str, object]]] = [
        (users.insert(), {"name": "bob", "password": "hunter2"}),
        (posts.insert(), {"name": "a post", "tokens": 812}),
    ]
    for statement, values in failing:
        with sqlalchemy.create_engine("sqlite://").connect() as connection:
            with pytest.raises(OperationalError) as failed:
                connection.execute(statement, values)
            said.append(scrubber.text(str(failed.value)))
    assert "[parameters: ***]" in said[0]
    assert "[parameters: ('a post', 812)]" in said[1]


def test_further_keys_are_secret_by_themselves_and_as_a_part_of_a_name() -> None:
    of_ours = Scrubber(keys=["iban", "prospectEmail"])
    for name in ("iban", "customer_IBAN", "customerIban", "prospect_email", "PROSPECT-EMAIL", "prospectemail"):
        assert of_ours.is_secret(name)
        assert of_ours.text(f"{name}: DE02 1203") == f"{name}: {HIDDEN} 1203"
    assert not of_ours.is_secret("ibanez")
    assert of_ours.mapping({"iban": 5, "email": "x"}) == {"iban": HIDDEN, "email": "x"}


def test_further_patterns_hide_their_matches() -> None:
    of_ours = Scrubber(patterns=[r"\bEMP-\d+\b", "x*"])
    assert of_ours.text("EMP-12345 asked EMP-1 for box") == "*** asked *** for bo***"
    assert of_ours.mapping({"who": ["EMP-1"], "EMP-2": 1}) == {"who": [HIDDEN], HIDDEN: 1}


def test_a_further_pattern_for_anything_leaves_one_mark_of_it() -> None:
    assert Scrubber(patterns=["."]).text("all of it") == HIDDEN


@pytest.mark.parametrize(
    ("patterns", "keys", "message"),
    [
        (["ok", "["], [], r"'\[' is no regular expression: unterminated character set"),
        ([], ["-_"], "'-_' names no key"),
    ],
)
def test_further_rules_that_make_no_sense_are_refused_by_name(
    patterns: list[str], keys: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Scrubber(patterns=patterns, keys=keys)


def test_addresses_of_e_mail_are_hidden_by_choice() -> None:
    text = "mail from Jané.Doe+x@mail.example.co.uk to bob@localhost"
    assert scrubber.text(text) == text
    assert Scrubber(emails=True).text(text) == "mail from *** to bob@localhost"


def test_a_clean_text_comes_back_itself() -> None:
    text = "request failed: timeout after 30 s"
    assert scrubber.text(text) is text


def test_what_no_database_takes_is_replaced() -> None:
    assert scrubber.text("a\0b\ud800c") == "a\ufffdb\ufffdc"
    assert scrubber.mapping({"\0": "\udcff"}) == {"\ufffd": "\ufffd"}


def test_a_text_s_class_has_no_say() -> None:
    class Sly(str):
        __slots__ = ()

        def lower(self) -> str:
            return ""

        def isascii(self) -> bool:
            raise ValueError

        def __len__(self) -> int:
            return 0

    assert scrubber.text(Sly("password=hunter2")) == "password=***"
    assert type(scrubber.text(Sly("x"))) is str


def test_a_long_text_says_how_much_of_it_is_missing() -> None:
    assert scrubber.text("a" * 10_000_000) == "a" * 4096 + "… [9 995 904 more characters]"
    assert Scrubber(bounds=Bounds(characters_per_text=3)).text("abcd") == "abc… [1 more characters]"


def test_a_cut_text_is_not_cut_again() -> None:
    clean = scrubber.text("a b " * 10_000)
    assert scrubber.text(clean) == clean


HOSTILE = (
    *("a", "1 ", "4", "eyJ", "://", "://:", "-----BEGIN", "'\"", "\\", "=", ":", " ", "@", "a@", "a.", "--", "<token>"),
    *("password=", "password='", "password=(", "password= ", 'password=\\"', "password: a | ", "cookie: ", "bearer "),
    *(
        "Failing row contains (",
        "[SQL: ",
        "password\n  input_value=",
        "'loc': (",
        "4111-",
        "token,",
        "\0",
        "\udcff",
        "İ",
    ),
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_text_s_size_changes_nothing_but_the_number_in_its_note(piece: str) -> None:
    hostile = Scrubber(emails=True, patterns=[r"EMP-\d+"])
    some, many = (hostile.text(piece * times) for times in (10_000, 1_000_000))
    assert some.rpartition("…")[0] == many.rpartition("…")[0]
    assert len(many) < BOUNDS.characters_per_text + 50


STRADDLING = [
    ("password={}", "hunter2-hunter2-hunter2"),
    ('"password": "{}"', "hunter2 hunter2 hunter2"),
    ("postgresql://app:{}@db/x", "hunter2-hunter2" * 8),
    ("postgresql://app:{}@db/x", "hunter2-hunter2" * 200),
    ("Authorization: Bearer {}", "abcdefghijklmnop" * 300),
    ("jwt {} expired", JWT),
    ("key {} x", PEM),
    ("card {} x", "4111 1111 1111 1111"),
    ("card {} x", "4111111111111111"),
    ("{} x", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("mail {} x", "jane.doe.of.example@mail.example.com"),
    ("EMP {} x", "EMP-123456789012"),
]


@pytest.mark.parametrize(("around", "secret"), STRADDLING)
def test_no_part_of_a_secret_is_left_where_the_cut_goes_through_it(around: str, secret: str) -> None:
    bounds = Bounds(characters_per_text=200)
    cutting = Scrubber(emails=True, patterns=[r"EMP-\d{12}"], bounds=bounds)
    pieces = {secret[at : at + 7] for at in range(len(secret) - 6)}
    for offset in range(0, 260, 1):
        text = "." * offset + " " + around.format(secret) + " ." * 2000
        clean = cutting.text(text)
        assert not [piece for piece in pieces if piece in clean]
        assert cutting.text(clean) == clean


SYNTAX = [
    *("password", "token", "tokens", "api key", "Authorization", "Cookie", "value", "name", "=", ":", ": ", "= ", "=>"),
    *(
        "'",
        '"',
        "\\'",
        '\\"',
        "\\",
        "\\n",
        "\n",
        " ",
        ",",
        ", ",
        ";",
        "&",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        "</",
    ),
    *("Bearer ", "Basic ", JWT, "://", "@", "/", "?", "1", "42", "4111111111111111", "4111 1111 1111 1111", "None"),
    *("***", "*", "…", "… [33 more characters]", PEM, PEM[:40], "sk-abcdefgh12345678", "a@b.com", "|", "x", "é", "\0"),
    *(
        "\udcff",
        "input_value=",
        "\n  ",
        ", input_type=",
        "[SQL: ",
        "]\n[parameters: ",
        "'loc': ('token'), ",
        "'input': ",
    ),
    *(
        "Failing row contains (",
        "AKIAABCDEFGHIJKLMNOP",
        "-",
        "--password ",
        "<token>",
        "ghp_0123456789abcdefghij",
        "EMP-1",
    ),
]
texts = st.lists(st.sampled_from(SYNTAX) | st.characters(), max_size=14).map("".join)
SCRUBBERS = [
    scrubber,
    Scrubber(emails=True, keys=["x"], patterns=[r"EMP-\d+", "[a1]+"]),
    Scrubber(bounds=Bounds(characters_per_text=40)),
    Scrubber(emails=True, patterns=["."], bounds=Bounds(characters_per_text=7)),
]


@settings(deadline=None)
@given(st.sampled_from(SCRUBBERS), texts)
def test_a_clean_text_stays_as_it_is_and_fits_utf_8(scrubber: Scrubber, text: str) -> None:
    clean = scrubber.text(text)
    assert scrubber.text(clean) == clean
    assert "\0" not in clean.encode().decode()


secrets = st.text(string.ascii_letters + string.digits + " ,;&=:/@'\"\\()[]{}<>|\n\té", min_size=1, max_size=30).map(
    lambda inside: f"hunter2{inside}hunter2"
)
quotings: list[Callable[[str, str], str]] = [
    lambda name, secret: repr({name: secret}),
    lambda name, secret: repr([(name, secret)]),
    lambda name, secret: json.dumps({"before": 1, name: secret, "after": [1]}),
    lambda name, secret: json.dumps(json.dumps({name: secret, "after": [1]})),
    lambda name, secret: repr(json.dumps({name: secret, "after": [1]})),
    lambda name, secret: f"call({name}={secret!r}, after=1)",
    lambda name, secret: repr(f"call({name}={secret!r}, after=1)"),
    lambda name, secret: f"{name} = {secret!r}",
    lambda name, secret: repr({name: [secret, {"x": secret}], "after": 1}),
]


@settings(deadline=None)
@given(st.sampled_from(SECRET_NAMES), secrets, st.sampled_from(quotings))
def test_a_quoted_secret_is_hidden_whatever_it_is_made_of(
    name: str, secret: str, quote: Callable[[str, str], str]
) -> None:
    assert "hunter2" not in scrubber.text(quote(name, secret))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=9)
structures: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.sampled_from(SECRET_NAMES) | st.integers(), inner, max_size=5)
        | st.frozensets(scalars, max_size=3)
    ),
    max_leaves=25,
)
contexts = st.dictionaries(texts | st.sampled_from(HARMLESS_NAMES), structures, max_size=5)
small = Bounds(characters_per_text=30, characters_per_key=20, characters=120, items_per_container=3, items=9, depth=3)


@settings(deadline=None)
@given(st.sampled_from([*SCRUBBERS[:3], Scrubber(bounds=small)]), contexts)
def test_a_context_becomes_what_json_can_hold_and_stays_as_it_is(
    scrubber: Scrubber, context: dict[object, object]
) -> None:
    before = repr(context)
    clean = scrubber.mapping(context)
    assert json.loads(json.dumps(clean, allow_nan=False)) == clean
    assert scrubber.mapping({**clean}) == clean
    assert repr(context) == before


PLANTED: list[Callable[[Any], Any]] = [
    lambda _: {"password": "hunter2"},
    lambda inner: {"x": inner, "client_secret": ["hunter2", inner]},
    lambda _: ("authorization", "Bearer hunter2"),
    lambda _: "postgresql://app:hunter2@db/x",
    lambda inner: [inner, "GET /?access_token=hunter2 HTTP/1.1"],
    lambda _: b"Cookie: a=hunter2",
    lambda inner: {"name": "DB_PASSWORD", "value": "hunter2", "x": inner},
    lambda _: ValueError("api_key='hunter2'"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PLANTED), min_size=1, max_size=6), contexts, st.sampled_from([BOUNDS, small]))
def test_secrets_planted_anywhere_never_come_out(
    planted: list[Callable[[Any], Any]], context: dict[object, object], bounds: Bounds
) -> None:
    inner: object = 1
    for plant in planted:
        inner = plant(inner)
    assert "hunter2" not in repr(Scrubber(bounds=bounds).mapping({"planted": inner, **context}))


def test_a_structure_s_whole_size_is_bounded() -> None:
    wide: object = "x" * 10_000
    for _ in range(12):
        wide = [wide] * 200
    clean = scrubber.mapping({str(number): wide for number in range(200)})
    assert len(json.dumps(clean)) < BOUNDS.characters + 300 * BOUNDS.items
