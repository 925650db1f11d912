"""The pages: to add one, write a function from a visit to an answer and name it here."""

from __future__ import annotations

from stages.show.web.gallery import show_gallery, show_more
from stages.show.web.life import show_life
from stages.show.web.page import Page
from stages.show.web.pictures import show_overlay, show_photograph
from stages.show.web.work.classes import show_class, show_classes, show_crop
from stages.show.web.work.compare import show_compare
from stages.show.web.work.judge import show_judge
from stages.show.web.work.map_page import show_atlas, show_map, show_points
from stages.show.web.work.pipeline import show_pipeline, show_pipeline_state

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (
    Page("/", show_gallery, "Gallery"),
    Page("/more", show_more),
    Page("/image/{image_id}", show_life),
    Page("/picture/{image_id}", show_photograph),
    Page("/overlay/{node}/{image_id}", show_overlay),
    Page("/classes", show_classes, "Classes"),
    Page("/class/{node}/{category_id}", show_class),
    Page("/crop/{node}/{image_id}", show_crop),
    Page("/compare", show_compare, "Compare"),
    Page("/map", show_map, "Map"),
    Page("/map/points", show_points),
    Page("/map/atlas.parquet", show_atlas),
    Page("/pipeline", show_pipeline, "Pipeline"),
    Page("/pipeline/state", show_pipeline_state),
    Page("/judge", show_judge, methods=("POST",)),
)
"""Every page, in the order of the menu."""
