"""Memory that runs out, as the error that a person can act on."""

from __future__ import annotations

import errno

from pdstore.errors import PdError

__all__ = ["no_memory"]

_SIGNS = (
    "failed to map segment",  # the loader of shared libraries
    "Cannot allocate memory",
    "can't start new thread",
    "DefaultCPUAllocator",  # torch on the CPU
    "out of memory",  # torch on a GPU
    "bad_alloc",
)


def no_memory(error: BaseException) -> PdError | None:
    """The error to show in the place of one that means that there is not enough memory; None for any other."""
    text = str(error)
    is_it = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    is_it = is_it or (isinstance(error, ImportError | OSError | RuntimeError) and any(s in text for s in _SIGNS))
    if not is_it or isinstance(error, PdError):
        return None
    first = next(iter(text.splitlines()), "") or "no message"
    limit = _limit()
    at = f"; this process may use {limit / 1e9:.1f} GB of addresses (ulimit -v)" if limit else ""
    fix = "Use a smaller batch_size or fewer workers" + (", or raise the limit: ulimit -v unlimited" if limit else "")
    return PdError(f"there is not enough memory ({type(error).__name__}: {first}){at}", fix=fix)


def _limit() -> int:
    """Bytes of address space that this process may use; 0 if there is no limit."""
    # Imported here: there is no such module on Windows.
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 0 if limit == resource.RLIM_INFINITY else limit
