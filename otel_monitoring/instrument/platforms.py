"""Which platform a host belongs to."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORMS: Mapping[str, str] = MappingProxyType(
    {
        "anthropic.com": "anthropic",
        "api.cerebras.ai": "cerebras",
        "api.cohere.com": "cohere",
        "api.deepseek.com": "deepseek",
        "api.fireworks.ai": "fireworks",
        "api.github.com": "github",
        "api.groq.com": "groq",
        "api.hubapi.com": "hubspot",
        "api.mistral.ai": "mistral",
        "api.notion.com": "notion",
        "api.perplexity.ai": "perplexity",
        "api.sendgrid.com": "sendgrid",
        "api.stripe.com": "stripe",
        "api.together.xyz": "together",
        "api.twitter.com": "twitter",
        "api.voyageai.com": "voyage",
        "api.x.ai": "xai",
        "api.x.com": "twitter",
        "api-inference.huggingface.co": "huggingface",
        "discord.com": "discord",
        "generativelanguage.googleapis.com": "gemini",
        "gmail.googleapis.com": "gmail",
        "graph.facebook.com": "facebook",
        "graph.instagram.com": "instagram",
        "graph.microsoft.com": "microsoft_graph",
        "linkedin.com": "linkedin",
        "openai.azure.com": "azure_openai",
        "openai.com": "openai",
        "openrouter.ai": "openrouter",
        "reddit.com": "reddit",
        "salesforce.com": "salesforce",
        "slack.com": "slack",
        "uploads.github.com": "github",
    }
)
"""Hosts and the platform that they are, with all hosts below them; the setting ``platforms`` adds to it."""

HOSTS_AT_MOST = 100
"""Hosts in no table that are platforms of their own; all further ones are ``other``."""

OTHER_PLATFORM = "other"

_REMEMBERED = 2000
_LONGEST_HOST = 253


class Platforms:
    """Names the platform of a host.

    Args:
        added: further hosts and their platforms; an empty platform is one that is not measured.
    """

    def __init__(self, added: Mapping[str, str]) -> None:
        self._table = {**PLATFORMS, **{host.lower(): platform for host, platform in added.items()}}
        self._known: dict[str, str] = {}
        self._own: set[str] = set()

    def of(self, host: str) -> str:
        """Return the platform of a host: as the table has it, the host itself, or ``other``."""
        try:
            return self._known[host]
        except KeyError:
            platform = self._find(host.lower().rstrip("."))
            # Which hosts are called may depend on what strangers send: no more than so many are remembered.
            if len(self._known) < _REMEMBERED:
                self._known[host] = platform
            return platform

    def _find(self, host: str) -> str:
        above = host
        while above:
            if above in self._table:
                return self._table[above]
            above = above.partition(".")[2]
        if host not in self._own:
            if len(self._own) >= HOSTS_AT_MOST or not 0 < len(host) <= _LONGEST_HOST:
                return OTHER_PLATFORM
            self._own.add(host)
        return host
