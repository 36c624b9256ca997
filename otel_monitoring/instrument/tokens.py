"""What calls to models used and how long they took, as the caller reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue import gen_ai
from otel_monitoring.catalogue.shipped import GEN_AI_OPERATION_DURATION, GEN_AI_TOKEN_USAGE
from otel_monitoring.instrument.spans import current_frame

if TYPE_CHECKING:
    from otel_monitoring.metrics import Registry


class Tokens:
    """Records calls to models, and adds their tokens to the span of the agent or tool that made them."""

    def __init__(self, registry: Registry) -> None:
        self._incidents = registry.incidents
        self._usage = registry.histogram(GEN_AI_TOKEN_USAGE)
        self._duration = registry.histogram(GEN_AI_OPERATION_DURATION)

    def record(
        self,
        model: str,
        input_tokens: int | None,
        output_tokens: int | None,
        *,
        provider: str,
        operation: str,
        duration_seconds: float | None = None,
        error_type: str = "",
    ) -> None:
        """Record one call; a number that is None is not known.

        Args:
            model: as it was asked for.
            input_tokens: of the prompt, those from a cache too.
            output_tokens: of the answer.
            provider: who runs the model; empty where it is not known.
            operation: what was asked of it, such as ``chat``.
            duration_seconds: of the call, to the end of its answer.
            error_type: how the call failed; empty where it did not.
        """
        labels = {gen_ai.OPERATION_NAME: operation, gen_ai.PROVIDER_NAME: provider, gen_ai.REQUEST_MODEL: model}
        for kind, count in (("input", input_tokens), ("output", output_tokens)):
            if count is not None:
                self._usage.record(count, {**labels, gen_ai.TOKEN_TYPE: kind})
        if duration_seconds is not None:
            self._duration.record(duration_seconds, {**labels, gen_ai.ERROR_TYPE: error_type})
        frame = current_frame()
        if frame is not None and frame.agent is not None:
            with self._incidents.contained("adding tokens to a span"):
                counts = {gen_ai.INPUT_TOKENS: input_tokens, gen_ai.OUTPUT_TOKENS: output_tokens}
                said = {gen_ai.PROVIDER_NAME: provider, gen_ai.REQUEST_MODEL: model}
                frame.agent.add_tokens(
                    {name: count for name, count in counts.items() if type(count) is int and count >= 0},
                    {name: text for name, text in said.items() if text},
                )
