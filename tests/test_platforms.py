"""Hosts and the platforms they belong to."""

from __future__ import annotations

import pytest

from otel_monitoring.instrument.platforms import HOSTS_AT_MOST, OTHER_PLATFORM, Platforms


@pytest.mark.parametrize(
    ("host", "platform"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com.", "openai"),
        ("eu.api.openai.com", "openai"),
        ("notopenai.com", "notopenai.com"),
        ("api.anthropic.com", "anthropic"),
        ("mine.openai.azure.com", "azure_openai"),
        ("oauth.reddit.com", "reddit"),
        ("api.x.com", "twitter"),
        ("api.github.com", "github"),
        ("github.com", "github.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
    ],
)
def test_a_host_is_the_platform_of_the_table_or_itself(host: str, platform: str) -> None:
    """With all hosts below those of the table, in letters of any size."""
    assert Platforms({}).of(host) == platform


def test_the_table_can_be_extended_and_overruled() -> None:
    """What is added wins, the more exact host wins over the one above it."""
    platforms = Platforms({"Example.com": "acme", "batch.openai.com": "openai_batch", "eu.example.com": ""})
    assert platforms.of("api.example.com") == "acme"
    assert platforms.of("batch.openai.com") == "openai_batch"
    assert platforms.of("api.openai.com") == "openai"
    assert platforms.of("a.eu.example.com") == ""


def test_unknown_hosts_are_told_apart_up_to_a_number() -> None:
    """What strangers make a service call cannot fill its memory, nor crowd out the hosts that were first."""
    platforms = Platforms({})
    seen = {platforms.of(f"host{number}.example") for number in range(5000)}
    assert len(seen) == HOSTS_AT_MOST + 1
    assert OTHER_PLATFORM in seen
    assert platforms.of("host0.example") == "host0.example"
    assert platforms.of("x" * 1000) == OTHER_PLATFORM
