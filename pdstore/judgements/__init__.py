"""What people said of images, masks and clusters: append-only records, with who and when."""

from pdstore.judgements.records import (
    JUDGEMENTS,
    KINDS,
    Judgement,
    Subject,
    add_judgement,
    judgement_names,
    judgement_rows,
    read_judgements,
)

__all__ = [
    "JUDGEMENTS",
    "KINDS",
    "Judgement",
    "Subject",
    "add_judgement",
    "judgement_names",
    "judgement_rows",
    "read_judgements",
]
