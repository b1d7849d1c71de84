"""The engine of Unleash's SDKs, for a flag that is no plain share: constraints, segments, several strategies."""

from __future__ import annotations

from yggdrasil_engine.engine import StatusCode, UnleashEngine

from flags.unleash.word import Unclear

APP = "strangler"  # as Unleash knows us


class Rules:
    """One route's. They see the subject, whatever it was found by, as user and as session, and the client's address."""

    def __init__(self, route: str, state: str) -> None:
        self._route, self._engine = route, UnleashEngine()
        # Its own `take_state` says nothing of rules that it could not take; a flag would silently be off.
        taken = self._engine.lib.take_state(self._engine.state, state.encode())
        with self._engine.materialize_pointer(taken, list) as response:
            if response.status_code is StatusCode.ERROR:
                raise Unclear(f"Unleash's engine does not take its rules: {response.error_message}")

    def choose(self, subject: str, address: str) -> bool:
        """Whether native is for this subject. Some 20 µs."""
        context = {"userId": subject, "sessionId": subject, "remoteAddress": address, "appName": APP}
        chosen: bool = self._engine.check_enabled(self._route, context).is_enabled
        return chosen
