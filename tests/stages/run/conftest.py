from __future__ import annotations

import pytest

from pdstore import Store


@pytest.fixture
def ready(grouped: Store) -> Store:
    """Four grouped blocks: what the CRF reads."""
    return grouped
