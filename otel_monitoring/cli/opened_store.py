"""The store of errors that a command is about."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import StoreError
from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.errors.store import ErrorStore


@contextmanager
def opened_store(store: str | None) -> Iterator[ErrorStore]:
    """Give the store that is meant; where there is none, none is made.

    Args:
        store: what ``--store`` says; None leaves it to the settings, and those to the default place.

    Raises:
        StoreError: there is none.
    """
    from otel_monitoring.service import open_error_store

    settings = Settings.load(None, store_errors=store)
    _require_store(settings)
    with closing(open_error_store(settings)) as opened:
        yield opened


def _require_store(settings: Settings) -> None:
    from otel_monitoring.errors.opening import place_of, spool_folder
    from otel_monitoring.service import keeping_of

    keeping = keeping_of(settings)
    place = place_of(keeping)
    if isinstance(place, Path) and not _is_there(place) and not _is_there(spool_folder(keeping)):
        raise StoreError(
            f"there is no error store at {place}: name another with --store, or let the application keep errors "
            "with store_errors=True or OTEL_MONITORING_STORE_ERRORS=true",
            passing=False,
        )


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # what is wrong with it is for the store to say
    return True
