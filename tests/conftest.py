"""How examples are drawn, in every folder. A machine that is busy with other things is slow: how long it takes to draw
one, or to try it, says nothing."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("many", max_examples=400)
for _name in ("default", "ci", "many"):
    _known = settings.get_profile(_name)
    settings.register_profile(
        _name, _known, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
