from __future__ import annotations

from proxy.server.gauges import watch_key_times, watch_signing
from proxy.web.metrics import Metrics


def test_what_others_keep_is_asked_for_at_every_scrape() -> None:
    metrics, standing, soon, at = Metrics(), [0], [0], [0.0]
    watch_signing(metrics, lambda: "away" if standing[0] else None, lambda: standing[0])
    watch_key_times(metrics, lambda: soon[0], lambda: at[0])
    for number in (0, 1):
        standing[0], soon[0], at[0] = number, number * 2, number * 3.5
        text = metrics.text().decode()
        assert f"countersign_signing_healthy {1 - number}.0" in text
        assert f"countersign_standby_profiles {number}.0" in text
        assert f"countersign_key_changes_announced {number * 2}.0" in text
        assert f"countersign_next_key_change_timestamp_seconds {number * 3.5}" in text
