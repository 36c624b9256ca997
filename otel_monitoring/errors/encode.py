"""An error in the form in which it lies in the spool: one JSON object in UTF-8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from otel_monitoring.errors.chain import payload_of
from otel_monitoring.errors.segment import LARGEST_PAYLOAD
from otel_monitoring.errors.trim import without_details

if TYPE_CHECKING:
    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.errors.stored import Payload

_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def encode(record: ErrorRecord, *, detailed: bool) -> tuple[bytes, bool]:
    """Return an error as bytes that fit into the spool.

    Args:
        record: the error.
        detailed: whether more is kept than what its group has to know.

    Returns:
        The bytes, and whether all details are in them that were asked for.
    """
    payload = _payload(record)
    if detailed:
        _add_details(payload, record)
    encoded = _to_json(payload).encode()
    if len(encoded) <= LARGEST_PAYLOAD:
        return encoded, True
    return _to_json(without_details(payload)).encode(), False


def _payload(record: ErrorRecord) -> Payload:
    return {
        "id": record.id,
        "time": record.time,
        "fingerprint": record.fingerprint,
        "title": record.title,
        "error_type": record.error_type,
        "component": record.component,
        "service": record.origin.service,
        "release": record.origin.release,
        "detailed": False,
    }


def _add_details(payload: Payload, record: ErrorRecord) -> None:
    payload["detailed"] = True
    payload["message"] = record.message
    payload["context"] = dict(record.context)
    payload["chain"] = [payload_of(link) for link in record.chain]
    payload["trace_id"] = record.trace_id
    payload["span_id"] = record.span_id
    payload["host"] = record.origin.host
    payload["pid"] = record.pid
