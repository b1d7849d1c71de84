"""By what a configuration has its routes judged. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flags.rollback import Rule
from proxy.sections import Config, RouteConfig
from shadow.eligibility import SAFE


def rule_of(config: Config) -> Rule:
    return Rule(**config.rollback.model_dump())


def rules_of(config: Config) -> Mapping[str, Rule]:
    """Each route's, which may have a judge of its own and another pace."""
    rule = rule_of(config)
    return {
        route.name: replace(
            rule,
            judge=route.judge or rule.judge,
            slow_over=rule.slow_over if route.slow_over is None else route.slow_over,
            paired=_may_be_paired(route),
        )
        for route in config.routes
    }


def _may_be_paired(route: RouteConfig) -> bool:
    """Whether both sides may be asked by others than users what users ask."""
    return route.shadow_legacy and route.route.method in SAFE


def slow_over(config: Config) -> Mapping[str, float]:
    """Seconds after which an answer is late, for each route."""
    return {route: rule.slow_over for route, rule in rules_of(config).items()}
