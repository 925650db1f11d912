from __future__ import annotations

from dataclasses import asdict, replace

from pdstore import Rows, Store
from schemas.catalog import catalog_of
from schemas.pipeline import NodeSpec
from schemas.tables import PROXIES
from stages.evaluation.proxies import Proxy
from stages.plan.project import Project
from stages.show.report.proxies import proxy_table

ROW = Proxy("grouping", "division", "mirror", "", 9, 0.651)


def test_one_row_per_measured_node(grouped: Store) -> None:
    """Over all classes, with two decimals; a proxy that nothing has is no column."""
    spec = NodeSpec(stage="proxies", inputs={"images": ("ingest",), "objects": ("detic",), "segments": ("grouping",)})
    project = Project.open(grouped).extended({"stability": spec})
    project.record()
    assert proxy_table(catalog_of(grouped), project.pipeline).rows == ()
    rows = [ROW, replace(ROW, class_name="dogs", value=0.9), replace(ROW, proxy="seeds", value=0.75)]
    rows.append(Proxy("ranking", "naming", "halves", "", 40, 1.0))
    layer = grouped.declare("stability", project["stability"].identity, PROXIES, "test")
    layer.commit(0, Rows.from_records(PROXIES, [asdict(row) for row in rows]))
    table = proxy_table(catalog_of(grouped), project.pipeline)
    assert [column.title for column in table.columns] == ["node", "stands for the loss of", "seeds", "mirror", "halves"]
    assert table.rows == (("grouping", "division", "0.75", "0.65", "–"), ("ranking", "naming", "–", "–", "1.00"))
