"""A client of `salesReportLive`: the few lines that a frontend needs."""

from dataclasses import dataclass, field
from typing import Any

MEASURES = "{ lineCount quantity revenue cost profit margin averagePrice volumeLiters }"
CHANGE = "{ revenue { absolute percent } margin { absolute percent } quantity { absolute percent } }"
ROW = f"""key label missing cursor share measures {MEASURES} before {MEASURES} change {CHANGE}
    bucket {{ start end label }} city {{ name }} zip county {{ name number }} category {{ name number isActive }}
    vendor {{ name number isActive }} store {{ number name address isActive }}
    product {{ sku name unitPrice isActive }}"""
BESIDE_ROWS = f"""others {MEASURES} grandTotal {MEASURES} before {MEASURES} change {CHANGE} totalGroups
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"""
REPORT = f"rows {{ {ROW} }} {BESIDE_ROWS}"
WATCH = f"subscription {{ salesReportLive($arguments) {{ isSnapshot keys {REPORT} meta {{ exact }} }} }}"


@dataclass
class Watch:
    """What a client knows of a report: put together from everything it was sent."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    rest: dict[str, Any] = field(default_factory=dict)

    def take(self, update: dict[str, Any]) -> None:
        known = {} if update["isSnapshot"] else self.rows
        changed = {row["key"]: row for row in update["rows"]}
        self.keys = self.keys if update["keys"] is None else update["keys"]
        self.rows = {key: changed.get(key) or known[key] for key in self.keys}
        self.rest = {
            name: value for name, value in update.items() if name not in {"isSnapshot", "keys", "rows", "meta"}
        }

    @property
    def report(self) -> dict[str, Any]:
        """What a fresh `salesReport` would say."""
        return {"rows": [self.rows[key] for key in self.keys], **self.rest}
