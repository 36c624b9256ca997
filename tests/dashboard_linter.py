"""What must hold for every dashboard, read from its JSON alone: rules in the manner of Grafana's dashboard-linter.

It reads queries with a parser of its own accord, and shares nothing with what makes them.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.catalogue import Catalogue

Model = dict[str, Any]

SHAPES: dict[str, tuple[str, str]] = {
    "dashboard": (
        "schemaVersion",
        """uid title description tags timezone editable graphTooltip time fiscalYearStartMonth refresh panels
        templating annotations links""",
    ),
    "panel": (
        "type id",
        """targets title description transparent datasource gridPos transformations interval options fieldConfig
        repeatDirection""",
    ),
    "row": ("type collapsed id panels", "title gridPos"),
    "field": ("", "unit min max mappings thresholds color noValue custom"),
    "threshold": ("value color", ""),
    "link": ("title type icon tooltip tags asDropdown targetBlank includeVars keepTime", "url"),
    "datasource": ("", "type uid"),
    "place": ("x y w h", ""),
}
"""What Grafana's schema of dashboards asks for and allows: what it does not know there, it refuses.

https://github.com/grafana/grafana/blob/main/kinds/dashboard/dashboard_kind.cue
"""

COUNTING = {"rate", "irate", "increase"}
WINDOWS = {"$__rate_interval", "$__interval", "$__range", "1d"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def findings(model: Model, catalogue: Catalogue) -> list[str]:
    """Return everything that is wrong with a dashboard's JSON; nothing where all is well."""
    return [
        *_head(model),
        *_variables(model),
        *_annotations(model),
        *_shapes(model),
        *_places(model),
        *(f"{panel.get('title')}: {finding}" for panel in panels(model) for finding in _panel(panel, catalogue)),
    ]


def panels(model: Model) -> list[Model]:
    """Return all panels that are no rows, those in collapsed rows too."""
    return [panel for panel in everything(model) if panel["type"] != "row"]


def everything(model: Model) -> list[Model]:
    """Return rows and panels in their order."""
    return [one for panel in model["panels"] for one in (panel, *panel.get("panels", ()))]


def queries(model: Model) -> list[tuple[str, str]]:
    """Return the title of the panel and the text of each query."""
    return [(panel["title"], target["expr"]) for panel in panels(model) for target in panel["targets"]]


def parsed(expr: str) -> promql.Expr:
    """Return the tree of a query, with Grafana's variables replaced by what has their form."""
    durations = re.sub(r"\$__(rate_interval|interval|range)", "7m", expr)
    return promql.parse(durations.replace("$", "variable_"))


def selectors(
    expr: promql.Expr, inside: tuple[str, ...] = ()
) -> Iterator[tuple[promql.VectorSelector, tuple[str, ...]]]:
    """Go through the selectors of a query, each with the functions around it, the nearest first."""
    match expr:
        case promql.VectorSelector():
            yield expr, inside
        case promql.MatrixSelector():
            yield from selectors(expr.vector_selector, inside)
        case promql.Call():
            for argument in expr.args:
                yield from selectors(argument, (expr.func.name, *inside))
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from selectors(expr.expr, inside)
        case promql.BinaryExpr():
            yield from selectors(expr.lhs, inside)
            yield from selectors(expr.rhs, inside)
        case _:
            return


def _head(model: Model) -> Iterator[str]:
    if not {"id", "version"}.isdisjoint(model):
        yield "it carries an id or a version"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", model["uid"]):
        yield f"the uid {model['uid']!r} is none"
    if not model["title"]:
        yield "it has no title"
    if model["editable"] is not False:
        yield "it can be edited"
    if not model["refresh"]:
        yield "it is never refreshed"
    if not model["schemaVersion"] >= 36:
        yield "its schema is old"


def _variables(model: Model) -> Iterator[str]:
    variables = {one["name"]: one for one in model["templating"]["list"]}
    datasource = variables.get("datasource", {})
    if (datasource.get("type"), datasource.get("query"), datasource.get("label")) != (
        "datasource",
        "prometheus",
        "Data source",
    ):
        yield f"the variable of the data source is {datasource}"
    for name, label in (("job", "Job"), ("instance", "Instance")):
        if variables.get(name, {}).get("label") != label:
            yield f"the variable {name} is {variables.get(name)}"
    for one in variables.values():
        if one["type"] != "query":
            continue
        every = ".+" if one["name"] in {"job", "instance"} else ".*"
        wanted = {"multi": True, "includeAll": True, "allValue": every, "refresh": 2, "datasource": DATASOURCE}
        wrong = {key: one.get(key) for key, value in wanted.items() if one.get(key) != value}
        if wrong:
            yield f"the variable {one['name']} has {wrong}"
        source = re.fullmatch(r"label_values\((.*), *(\w+)\)", one["query"])
        if source is None or source[2] != one["name"]:
            yield f"the variable {one['name']} asks for {one['query']!r}"
        else:
            parsed(source[1])


def _annotations(model: Model) -> Iterator[str]:
    for one in model["annotations"]["list"]:
        # Grafana's schema of dashboards: only its own data source's annotations fit there.
        if "target" in one and not {"limit", "matchAny", "tags", "type"} <= set(one["target"]):
            yield f"the annotation {one['name']} has a target that Grafana's schema refuses: {one['target']}"
        if "target" not in one:
            parsed(one["expr"])


def _shapes(model: Model) -> Iterator[str]:
    yield from _shape("dashboard", model)
    for link in model["links"]:
        yield from _shape("link", link)
    for one in everything(model):
        yield from _shape("place", one["gridPos"])
        yield from _shape("row" if one["type"] == "row" else "panel", one)
    for panel in panels(model):
        yield from _shape("datasource", panel["datasource"])
        yield from _shape("field", panel["fieldConfig"]["defaults"])
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
            yield from _shape("threshold", step)


def _shape(kind: str, given: Model) -> Iterator[str]:
    needed, allowed = (set(names.split()) for names in SHAPES[kind])
    if needed - set(given):
        yield f"a {kind} lacks {needed - set(given)}"
    if set(given) - needed - allowed:
        yield f"a {kind} has {set(given) - needed - allowed}"


def _places(model: Model) -> Iterator[str]:
    ids = Counter(one["id"] for one in everything(model))
    if any(number < 1 or times > 1 for number, times in ids.items()):
        yield f"ids are missing or given twice: {ids}"
    placed = everything(model)
    for one in placed:
        place = one["gridPos"]
        if place["x"] + place["w"] > 24 or min(place["w"], place["h"]) < 1:
            yield f"{one['title']} lies outside: {place}"
    for one, other in combinations(placed, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        if not beside and not (a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]):
            yield f"{one['title']} lies over {other['title']}"


def _panel(panel: Model, catalogue: Catalogue) -> Iterator[str]:
    for key in ("title", "description"):
        if not panel[key].strip():
            yield f"no {key}"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if panel["datasource"] != DATASOURCE:
        yield f"its data source is {panel['datasource']}"
    names = Counter(target["refId"] for target in panel["targets"])
    if not names or max(names.values()) > 1:
        yield f"its queries are {names}"
    for target in panel["targets"]:
        yield from _target(target, catalogue)


def _target(target: Model, catalogue: Catalogue) -> Iterator[str]:
    if target["datasource"] != DATASOURCE:
        yield f"a query's data source is {target['datasource']}"
    if not target["legendFormat"]:
        yield "a query without a legend"
    yield from _query(target["expr"], catalogue)


def _query(expr: str, catalogue: Catalogue) -> Iterator[str]:
    for selector, around in selectors(parsed(expr)):
        narrowed = {one.name: one.value for one in selector.matchers.matchers if one.op == promql.MatchOp.Re}
        for label in _carried(selector.name or ""):
            if narrowed.get(label) != f"variable_{label}":
                yield f'{selector.name} has no {label}=~"${label}"'
        counts = _counts(selector.name or "", catalogue)
        if counts and not COUNTING & set(around):
            yield f"the counter {selector.name} is shown bare"
    for window in re.findall(r"\b(?:rate|irate)\([^][]*\[([^]]+)\]", expr):
        if window not in WINDOWS - {"$__interval"}:
            yield f"a rate over {window}"
    for window in re.findall(r"\bincrease\([^][]*\[([^]]+)\]", expr):
        if window not in WINDOWS:
            yield f"an increase over {window}"


def _carried(name: str) -> tuple[str, ...]:
    """Return which labels of a target a series has: rules add instances up, and say so in the name."""
    if ":" in name:
        return ("job",)
    return ("job",) if name == "ALERTS" else ("job", "instance")


def _counts(name: str, catalogue: Catalogue) -> bool:
    declaration = catalogue.find(name)
    suffix = name.removeprefix(declaration.base_name) if declaration else ""
    return declaration is not None and suffix in {"_total", "_bucket", "_sum", "_count"}
