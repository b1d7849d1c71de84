"""Structured logs: one JSON object a line, on standard output."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer

# A traceback's local variables are people's requests: tokens and texts that no log may keep.
WITHOUT_VALUES = ExceptionDictTransformer(show_locals=False)


def configure() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(WITHOUT_VALUES),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    # Every failure that uvicorn would log here is recorded by Access, with its request.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
