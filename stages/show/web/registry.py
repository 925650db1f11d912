"""The pages: to add one, write a function from a visit to an answer and name it here."""

from __future__ import annotations

from stages.show.web.gallery import show_gallery, show_more
from stages.show.web.life import show_life
from stages.show.web.page import Page
from stages.show.web.pictures import show_overlay, show_photograph

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (
    Page("/", show_gallery, "Gallery"),
    Page("/more", show_more),
    Page("/image/{image_id}", show_life),
    Page("/picture/{image_id}", show_photograph),
    Page("/overlay/{node}/{image_id}", show_overlay),
)
"""Every page, in the order of the menu."""
