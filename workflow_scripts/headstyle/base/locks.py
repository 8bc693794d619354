"""Locks that one process at a time holds. The only module that knows `filelock`.

The operating system holds a lock for the process, so a lock ends with its process, however that
ends; processes that it forked do not keep the lock. A file system without such locks is an error:
lock files that only mark a lock would outlive a process that was killed.
"""

import errno
from pathlib import Path

from filelock import FileLock, Timeout

from headstyle.base.errors import InputError

__all__ = ["FileLock", "claim_folder", "lock_of", "try_lock"]

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system answers that has no locks, such as some network shares."""


def lock_of(path: str | Path) -> FileLock:
    """The lock of a path, not held yet. As a context manager it waits until the lock is free.

    Args:
        path: The lock file. It is made when needed, and stays.
    """
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def try_lock(path: str | Path) -> FileLock | None:
    """Lock a path at once, or return None where another holder has locked it.

    Returns:
        The lock. It is held until `release()`, or until nothing refers to it.

    Raises:
        InputError: the file system has no locks.
    """
    try:
        return _lock_at_once(path)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        raise InputError(
            f"{path} cannot be locked ({error.strerror}), as its file system has no locks; choose"
            " a results_dir, and a TMPDIR for the locks of the GPUs, on a file system that has them"
        ) from None


def claim_folder(path: str | Path) -> FileLock:
    """Claim a results folder for this process.

    Returns:
        The claim. It lasts until `release()`, or until nothing refers to it.

    Raises:
        InputError: another process holds the claim, or the folder cannot be locked.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock_at_once(path / ".lock")
    except OSError as error:
        raise InputError(
            f"{path} cannot be claimed for this run ({error}); choose a results_dir on a file"
            " system that can be written and locked"
        ) from None
    if lock is None:
        raise InputError(
            f"{path} is being computed by another run; wait for it or choose another results_dir"
        )
    return lock


def _lock_at_once(path: Path | str) -> FileLock | None:
    lock = lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
