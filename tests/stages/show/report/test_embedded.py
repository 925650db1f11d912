from __future__ import annotations

import base64
import io

from PIL import Image

from stages.show.report.embedded import embedded


def test_a_picture_is_a_data_uri_that_knows_its_size() -> None:
    """It is WebP; what was transparent stays so, and equal pictures are equal."""
    source = Image.new("RGBA", (40, 20), (200, 30, 30, 255))
    source.paste((0, 0, 0, 0), (20, 0, 40, 20))
    picture = embedded(source)
    assert (picture.width, picture.height) == (40, 20) and picture == embedded(source.copy())
    kind, _, data = picture.uri.partition(",")
    decoded = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (kind, decoded.format, decoded.size) == ("data:image/webp;base64", "WEBP", (40, 20))
    assert [decoded.convert("RGBA").getpixel((x, 10))[3] for x in (5, 35)] == [255, 0]
