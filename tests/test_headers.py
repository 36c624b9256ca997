"""The rate limits that headers tell of: recorded ones of real services, and hostile ones."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.instrument.headers import FARTHEST_SECONDS, Reading, read_limits, read_moment

NOW = datetime(2025, 8, 21, 12, 41, tzinfo=UTC).timestamp()


def read(text: str, *, status: int = 200, now: float = NOW) -> tuple[Reading, ...]:
    """Return the readings of headers written as on the wire."""
    pairs = (line.partition(":") for line in text.strip().splitlines())
    return read_limits([(name.strip(), value.strip()) for name, _, value in pairs], status=status, now=now)


def at(text: str) -> float:
    """Return a moment of RFC 3339 in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def test_anthropic() -> None:
    """Four limits with dates of RFC 3339; a recorded answer of its messages endpoint."""
    answer = """
    date: Thu, 21 Aug 2025 12:41:00 GMT
    content-type: application/json
    anthropic-ratelimit-input-tokens-limit: 80000
    anthropic-ratelimit-input-tokens-remaining: 80000
    anthropic-ratelimit-input-tokens-reset: 2025-08-21T12:40:59Z
    anthropic-ratelimit-output-tokens-limit: 16000
    anthropic-ratelimit-output-tokens-remaining: 16000
    anthropic-ratelimit-output-tokens-reset: 2025-08-21T12:41:00Z
    anthropic-ratelimit-requests-limit: 1000
    anthropic-ratelimit-requests-remaining: 999
    anthropic-ratelimit-requests-reset: 2025-08-21T12:40:59Z
    anthropic-ratelimit-tokens-limit: 96000
    anthropic-ratelimit-tokens-remaining: 96000
    anthropic-ratelimit-tokens-reset: 2025-08-21T12:40:59Z
    request-id: req_0123456789
    anthropic-organization-id: 00000000-0000-0000-0000-000000000000
    server: cloudflare
    """
    assert read(answer) == (
        Reading("input_tokens", 80000, 80000, NOW - 1),
        Reading("output_tokens", 16000, 16000, NOW),
        Reading("requests", 1000, 999, NOW - 1),
        Reading("tokens", 96000, 96000, NOW - 1),
    )


def test_anthropic_priority_tier() -> None:
    """Its limits stand beside the ordinary ones."""
    answer = """
    anthropic-priority-input-tokens-limit: 10000
    anthropic-priority-input-tokens-remaining: 9618
    anthropic-priority-input-tokens-reset: 2025-08-21T12:41:30Z
    """
    assert read(answer) == (Reading("priority_input_tokens", 10000, 9618, NOW + 30),)


def test_openai() -> None:
    """Durations behind the names of the limits, as its guide shows them."""
    answer = """
    x-ratelimit-limit-requests: 60
    x-ratelimit-limit-tokens: 150000
    x-ratelimit-remaining-requests: 59
    x-ratelimit-remaining-tokens: 149984
    x-ratelimit-reset-requests: 1s
    x-ratelimit-reset-tokens: 6m0s
    """
    assert read(answer) == (
        Reading("requests", 60, 59, NOW + 1),
        Reading("tokens", 150000, 149984, NOW + 360),
    )


def test_openai_with_milliseconds_and_a_third_limit() -> None:
    """A recorded answer of its completions endpoint."""
    answer = """
    x-ratelimit-limit-requests: 5000
    x-ratelimit-limit-tokens: 160000
    x-ratelimit-limit-tokens_usage_based: 160000
    x-ratelimit-remaining-requests: 4999
    x-ratelimit-remaining-tokens: 159976
    x-ratelimit-remaining-tokens_usage_based: 159976
    x-ratelimit-reset-requests: 12ms
    x-ratelimit-reset-tokens: 9ms
    x-ratelimit-reset-tokens_usage_based: 9ms
    """
    assert read(answer) == (
        Reading("requests", 5000, 4999, NOW + 0.012),
        Reading("tokens", 160000, 159976, NOW + 0.009),
        Reading("tokens_usage_based", 160000, 159976, NOW + 0.009),
    )


def test_groq_refuses() -> None:
    """Fractions of seconds, and a hit of the limit with nothing left."""
    answer = """
    retry-after: 2
    x-ratelimit-limit-requests: 14400
    x-ratelimit-limit-tokens: 18000
    x-ratelimit-remaining-requests: 14370
    x-ratelimit-remaining-tokens: 0
    x-ratelimit-reset-requests: 2m59.56s
    x-ratelimit-reset-tokens: 7.66s
    """
    assert read(answer, status=429) == (
        Reading("requests", 14400, 14370, NOW + 179.56),
        Reading("tokens", 18000, 0, NOW + 7.66, hit=True),
    )


def test_github() -> None:
    """Seconds since 1970, and the limit's name in a header of its own, which stands last."""
    answer = """
    Server: GitHub.com
    Date: Tue, 18 Oct 2022 21:42:55 GMT
    X-RateLimit-Limit: 5000
    X-RateLimit-Remaining: 4997
    X-RateLimit-Reset: 1666132381
    X-RateLimit-Used: 3
    X-RateLimit-Resource: core
    """
    assert read(answer, now=1666129375) == (Reading("core", 5000, 4997, 1666132381),)


@pytest.mark.parametrize("status", [403, 429])
def test_github_refuses_for_its_secondary_limit(status: int) -> None:
    """It says when to come back while the primary limit has calls left: a hit of all calls."""
    answer = """
    Retry-After: 60
    X-RateLimit-Limit: 5000
    X-RateLimit-Remaining: 4870
    X-RateLimit-Reset: 1755781860
    X-RateLimit-Resource: core
    """
    assert read(answer, status=status) == (
        Reading("core", 5000, 4870, 1755781860),
        Reading("api", None, 0, NOW + 60, hit=True),
    )


def test_x() -> None:
    """A recorded answer, and the limits of a whole day of its newer interface."""
    answer = """
    x-rate-limit-limit: 2000
    x-rate-limit-remaining: 1999
    x-rate-limit-reset: 1497039241
    x-app-limit-24hour-limit: 25
    x-app-limit-24hour-remaining: 3
    x-app-limit-24hour-reset: 1497090000
    x-user-limit-24hour-limit: 17
    x-user-limit-24hour-remaining: 2
    x-user-limit-24hour-reset: 1497090000
    """
    assert read(answer, now=1497038341) == (
        Reading("api", 2000, 1999, 1497039241),
        Reading("app_24hour", 25, 3, 1497090000),
        Reading("user_24hour", 17, 2, 1497090000),
    )


def test_linkedin_refuses() -> None:
    """It sends no headers for its limits: a refusal is all that is known, and the day's end is not."""
    answer = """
    Content-Type: application/json
    x-li-fabric: prod-lva1
    x-li-pop: azd-prod-lva1-x
    x-li-proto: http/1.1
    x-li-uuid: AAYJk2xvqzKxVhB0QlzvXg==
    x-restli-protocol-version: 2.0.0
    """
    assert read(answer, status=200) == ()
    assert read(answer, status=429) == (Reading("api", hit=True),)


def test_slack_and_notion_refuse() -> None:
    """They send nothing but when to come back, in small letters or large."""
    assert read("retry-after: 30", status=429) == (Reading("api", None, 0, NOW + 30, hit=True),)
    assert read("Retry-After: 1", status=429) == (Reading("api", None, 0, NOW + 1, hit=True),)


def test_azure_openai_refuses() -> None:
    """Milliseconds beside the whole seconds are the more exact, whichever stands first."""
    lines = ["retry-after: 2", "retry-after-ms: 1250", "x-ratelimit-remaining-tokens: 0"]
    expected = (Reading("tokens", None, 0, NOW + 1.25, hit=True),)
    assert read("\n".join(lines), status=429) == expected
    assert read("\n".join(reversed(lines)), status=429) == expected
    assert read("retry-after-ms: soon\nretry-after: 2", status=429) == (Reading("api", None, 0, NOW + 2, hit=True),)


def test_reddit() -> None:
    """What remains is a decimal, the reset is seconds to go, and the limit is what was used and what remains."""
    answer = """
    x-ratelimit-used: 4
    x-ratelimit-remaining: 596.0
    x-ratelimit-reset: 412
    """
    assert read(answer) == (Reading("api", 600, 596, NOW + 412),)


@pytest.mark.parametrize("exact_first", [True, False])
def test_discord(exact_first: bool) -> None:
    """The seconds to go win over the seconds since 1970, whichever comes first."""
    resets = ["X-RateLimit-Reset-After: 1.25", "X-RateLimit-Reset: 1755780000.5"]
    lines = ["X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 1", *(resets if exact_first else reversed(resets))]
    assert read("\n".join([*lines, "X-RateLimit-Bucket: abcd1234"])) == (Reading("api", 5, 1, NOW + 1.25),)


def test_docker_hub_and_rapidapi() -> None:
    """A window behind the number, and a name between."""
    assert read("ratelimit-limit: 100;w=21600\nratelimit-remaining: 76;w=21600") == (Reading("api", 100, 76),)
    answer = """
    x-ratelimit-requests-limit: 500
    x-ratelimit-requests-remaining: 499
    x-ratelimit-requests-reset: 86400
    """
    assert read(answer) == (Reading("requests", 500, 499, NOW + 86400),)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('RateLimit: "default";r=50;t=30', (Reading("default", None, 50, NOW + 30),)),
        (
            'RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400\nRateLimit: "burst";r=50;t=30',
            (Reading("burst", 100, 50, NOW + 30), Reading("daily", 1000)),
        ),
        (
            'RateLimit-Policy: "peruser";q=100;w=60;pk=:cHsdsRa894==:\nRateLimit: "peruser";t=60;r=0;pk=:cHsdsRa894==:',
            (Reading("peruser", 100, 0, NOW + 60),),
        ),
        ('RateLimit: "a,b;c";r=1;t=2, plain;r=3', (Reading("a_b_c", None, 1, NOW + 2), Reading("plain", None, 3))),
        ("RateLimit: limit=100, remaining=50, reset=50", (Reading("api", 100, 50, NOW + 50),)),
        (
            "RateLimit: limit=100, remaining=50, reset=50\nRateLimit-Policy: 100;w=60",
            (Reading("api", 100, 50, NOW + 50),),
        ),
        (
            "RateLimit-Limit: 10, 10;w=1, 50;w=60\nRateLimit-Remaining: 9\nRateLimit-Reset: 7",
            (Reading("api", 10, 9, NOW + 7),),
        ),
    ],
)
def test_ietf(answer: str, expected: tuple[Reading, ...]) -> None:
    """Each form that a draft has had."""
    assert read(answer) == expected


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (429, "Retry-After: 120", (Reading("api", None, 0, NOW + 120, hit=True),)),
        (429, "Retry-After: Thu, 21 Aug 2025 12:43:00 GMT", (Reading("api", None, 0, NOW + 120, hit=True),)),
        (503, "Retry-After: 120", (Reading("api", None, 0, NOW + 120, hit=True),)),
        (429, "Server: nginx", (Reading("api", hit=True),)),
        (429, "X-RateLimit-Remaining: 0", (Reading("api", None, 0, hit=True),)),
        (429, "X-RateLimit-Remaining: 0\nRetry-After: 5", (Reading("api", None, 0, NOW + 5, hit=True),)),
        (503, "Server: nginx", ()),
        (301, "Retry-After: 120", ()),
        (200, "Content-Type: text/plain", ()),
    ],
)
def test_refusals(status: int, answer: str, expected: tuple[Reading, ...]) -> None:
    """A 429 is a hit whatever it says; another refusal is one where it says when to come back."""
    assert read(answer, status=status) == expected


@pytest.mark.parametrize(
    ("text", "seconds_to_go"),
    [
        ("30", 30),
        ("0", 0),
        ("-5", 0),
        ("6m0s", 360),
        ("1s", 1),
        ("12ms", 0.012),
        ("1h2m3.5s", 3723.5),
        ("2d", 172800),
        ("250us", 0.00025),
        (str(int(NOW) + 60), 60),
        (str(int(NOW) * 1000 + 60_500), 60.5),
        ("2025-08-21T12:42:00Z", 60),
        ("2025-08-21T14:42:00.5+02:00", 60.5),
        ("2025-08-21T12:42:00", 60),
        ("Thu, 21 Aug 2025 12:42:00 GMT", 60),
        ("Thursday, 21-Aug-25 12:42:00 GMT", 60),
        ("Thu Aug 21 12:42:00 2025", 60),
    ],
)
def test_moments(text: str, seconds_to_go: float) -> None:
    """A moment may be written in many ways; one without a zone is in UTC."""
    moment = read_moment(text, NOW)
    assert moment is not None
    assert math.isclose(moment - NOW, seconds_to_go, abs_tol=1e-3)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "nan", "inf", "1e9", "-", "6m0", "5 s", "٣", "9" * 400, "1ms" * 300, "99999999h", "1970-01-01", "²"],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    """So is a moment that is more than a year away."""
    assert read_moment(text, NOW) is None


NAMES = st.sampled_from(
    [
        "RateLimit",
        "RateLimit-Policy",
        "RateLimit-Reset",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset-tokens",
        "X-RateLimit-Resource",
        "anthropic-ratelimit-tokens-reset",
        "Retry-After",
    ]
) | st.text(max_size=50)
VALUES = st.text(max_size=200) | st.text('0123456789;,="\\.:-TZ rtqwsmhGMTu', max_size=200)


@given(headers=st.lists(st.tuples(NAMES, VALUES), max_size=30), status=st.integers(0, 999))
def test_hostile_values_never_raise(headers: list[tuple[str, str]], status: int) -> None:
    """Whatever is sent, what comes out is finite, near and named within bounds."""
    for reading in read_limits(headers, status=status, now=NOW):
        assert 0 < len(reading.limit_type) <= 100
        assert all(math.isfinite(value) for value in (reading.limit, reading.remaining) if value is not None)
        assert reading.reset is None or abs(reading.reset - NOW) <= FARTHEST_SECONDS


def test_endless_headers_are_cut() -> None:
    """Thousands of invented limits give a few, and a value that is too long is not looked at."""
    many = [(f"x-ratelimit-remaining-{number}", "1") for number in range(5000)]
    assert len(read_limits(many, status=200, now=NOW)) <= 100
    members = ", ".join(f'"{number}";r=1' for number in range(90))
    assert len(read_limits([("RateLimit", members)], status=200, now=NOW)) == 20
    assert read_limits([("RateLimit", '"' * 100_000)], status=200, now=NOW) == ()
