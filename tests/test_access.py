"""Who is let in."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.export.access import Access

HERE = "127.0.0.1"
BASIC = Access(username="ada", password="geheim:ü")
BEARER = Access(bearer_token="tøken")


def basic(credentials: str) -> str:
    return "Basic " + b64encode(credentials.encode()).decode()


def status(access: Access, client: str = HERE, authorization: str | None = None) -> int:
    refusal = access.refusal(client, authorization)
    return 200 if refusal is None else int(refusal.status)


def challenges(access: Access) -> list[str]:
    refusal = access.refusal(HERE, None)
    assert refusal is not None
    return [value for name, value in refusal.headers if name == "WWW-Authenticate"]


def test_everyone_is_let_in_where_nothing_is_asked() -> None:
    assert status(Access(), "203.0.113.7") == 200


def test_the_right_username_and_password_are_let_in() -> None:
    assert status(BASIC, authorization=basic("ada:geheim:ü")) == 200
    assert status(BASIC, authorization=basic("ada:geheim:ü").replace("Basic", "bAsIc")) == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic ä",
        basic("ada"),
        basic("ada:"),
        basic(":geheim:ü"),
        basic("ada:geheim"),
        basic("Ada:geheim:ü"),
        basic("ada:geheim:ü ") + "=",
        "Bearer geheim:ü",
        "Digest " + basic("ada:geheim:ü")[6:],
    ],
)
def test_anything_else_is_asked_who_it_is(authorization: str | None) -> None:
    assert status(BASIC, authorization=authorization) == 401
    assert challenges(BASIC) == ['Basic realm="metrics", charset="UTF-8"']


def test_the_right_token_is_let_in() -> None:
    as_read = "tøken".encode().decode("latin-1")  # what HTTP servers make of a header's bytes
    assert status(BEARER, authorization=f"Bearer {as_read}") == 200
    assert status(BEARER, authorization="Bearer token") == 401
    assert status(BEARER, authorization=basic("ada:geheim")) == 401
    assert challenges(BEARER) == ['Bearer realm="metrics"']


def test_where_both_are_set_either_will_do() -> None:
    both = Access(username="ada", password="geheim", bearer_token="token")
    assert status(both, authorization=basic("ada:geheim")) == 200
    assert status(both, authorization="Bearer token") == 200
    assert len(challenges(both)) == 2


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("fe80::1", 200),
        ("fe80::1%eth0", 200),
        ("192.168.1.1", 200),
        ("192.168.1.2", 403),
        ("11.0.0.1", 403),
        ("::1", 403),
        ("not an address", 403),
    ],
)
def test_only_the_listed_networks_are_let_in(client: str, expected: int) -> None:
    access = Access(networks=("10.0.0.0/8", "fe80::/10", "192.168.1.1"))
    assert status(access, client) == expected


def test_a_stranger_is_refused_whatever_he_knows() -> None:
    access = Access(bearer_token="token", networks=("10.0.0.0/8",))
    assert status(access, "11.0.0.1", "Bearer token") == 403
    assert status(access, "10.0.0.1", None) == 401
    assert status(access, "10.0.0.1", "Bearer token") == 200


def test_secrets_are_not_shown() -> None:
    shown = repr(Access(username="ada", password="geheim", bearer_token="token"))
    assert "geheim" not in shown
    assert "token='" not in shown


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Access(username="a:b", bearer_token=" ", networks=("10.0.0.0/33", "nowhere"))
    assert len(caught.value.problems) == 5


def test_one_string_of_networks_is_one_mistake() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Access(networks="10.0.0.0/8")  # type: ignore[arg-type]
    assert caught.value.problems == ("networks is one string: write a tuple, networks=('10.0.0.0/8',)",)


@given(client=st.text(), authorization=st.text())
def test_no_request_makes_it_fail(client: str, authorization: str) -> None:
    access = Access(username="ada", password="geheim", bearer_token="token", networks=("127.0.0.0/8",))
    assert status(access, client, authorization) == 403
    assert status(BASIC, HERE, f"Basic {authorization}") == 401
    assert status(BEARER, HERE, f"Bearer {authorization}") in {200, 401}
