"""Shows the dashboards in Grafana's own front end, without Grafana's server.

The front end is the `public` folder of a Grafana release. `api` answers what it asks for, `data_frames` makes frames of what a
real Prometheus says, `traces`, `span_metrics` and `logs` stand in for Tempo and Loki, `browser` opens a dashboard in headless
Chromium and reads its panels back, `judgement` says what is wrong with them, and `scenes` starts what there is to see.
`scripts/render-dashboards` does all of it.
"""
