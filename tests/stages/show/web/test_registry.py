from __future__ import annotations

from stages.show.web.registry import PAGES


def test_paths_are_different_and_titles_too() -> None:
    """No page hides another one, in the menu or behind it."""
    paths = [page.path for page in PAGES]
    titles = [page.title for page in PAGES if page.title]
    assert len(set(paths)) == len(paths) and len(set(titles)) == len(titles)
    assert all(path.startswith("/") and not path.startswith("/static") for path in paths)


def test_pages_of_the_menu_can_be_opened_as_they_are() -> None:
    """A page of the menu has no variable parts and only reads."""
    assert all("{" not in page.path and page.methods == ("GET",) for page in PAGES if page.title)
