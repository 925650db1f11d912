"""Small records that carry a digest of themselves, and digests of files that cannot carry one."""

from pdstore.records.digests import keep_digest, open_checked, read_checked, remove_with_digest, write_with_digest
from pdstore.records.sealed import seal, sealed_line, unseal

__all__ = [
    "keep_digest",
    "open_checked",
    "read_checked",
    "remove_with_digest",
    "seal",
    "sealed_line",
    "unseal",
    "write_with_digest",
]
