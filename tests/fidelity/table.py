"""All cases of fidelity; docs/http.md lists them for people. No I/O."""

from __future__ import annotations

from tests.fidelity.cases import Case
from tests.fidelity.questions import QUESTIONS, TARGETS, UPLOADS
from tests.fidelity.replies import ANSWERS, CONNECTIONS

CASES: tuple[Case, ...] = (*TARGETS, *QUESTIONS, *UPLOADS, *ANSWERS, *CONNECTIONS)
