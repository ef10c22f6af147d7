"""The one table of colours. A colour means one thing on every panel of every dashboard.

Within each group any two are told apart with normal sight, in protanopia, deuteranopia and tritanopia; severities, and states
that lie on each other in a stack, also in a print without colours. test_dashboards.py measures it. What has a name of its own
(a queue, a task type, a reason) gets one of Grafana's colours by its place in the panel: by its name
(palette-classic-by-name), two of a panel could have the same. So all panels of a page that are by queue have the same queues
(`common.with_all`), and each has one colour. Severities are darker than Grafana's first colours: its green line is no good
queue, and its red one no critical queue.
"""

# How good or bad something is: thresholds, up and down, alerts. They are fills. Grafana writes on them in white, and no colour
# could be read as text on both a white and a dark panel.
GOOD, INFO, WARNING, CRITICAL = "#178072", "#4540A8", "#A85F00", "#A61C33"
# The background shows through: what is not known is neither good nor bad, and text has the theme's own colour.
UNFILLED = "transparent"
SEVERITIES = {"good": GOOD, "info": INFO, "warning": WARNING, "critical": CRITICAL}

# Of log lines, by the names that loggers give them.
LEVELS = (dict.fromkeys(("error", "fatal", "panic", "critical"), CRITICAL) | dict.fromkeys(("warn", "warning"), WARNING)
          | {"info": INFO})

# States of a task in Redis, in the order of the stack; tasks that come, and outcomes of attempts.
STATES = {"active": "#63A3D3", "pending": "#7C3AA6", "retry": "#F99077", "scheduled": "#6265FC", "aggregating": "#C6C12D",
          "archived": "#944C45", "completed": "#699016"}
FLOWS = {"arriving": "#D9A5F0", "completed": STATES["completed"], "failed": "#B31E79"}

# Quantiles of one thing, and what they are held against.
LIMIT = "#9BA09F"
QUANTILES = {"p50": "#24CCFE", "p95": "#8083FE", "p99": "#8A51AC"}

# By status code: any but 2xx is a shade of failed.
CODES = {r"/^2\d\d$/": FLOWS["completed"], r"/^(?!2\d\d$)/": {"mode": "shades", "fixedColor": FLOWS["failed"]}}

GROUPS = {"severities": SEVERITIES, "states": STATES, "flows": FLOWS, "quantiles": QUANTILES | {"limit": LIMIT}}
BY_NAME = STATES | FLOWS | QUANTILES
