"""Which files of a folder are views, what views are called, and which other files are theirs.

A view is the path of its file below the folder, without the suffix and without what all paths
begin with. Its name is that path with all characters that could harm a file name replaced, so that
results can be called after it.
"""

from headstyle.importers.listing.folders import (
    ARCHIVE_SUFFIXES,
    RAW_SUFFIXES,
    VIDEO_SUFFIXES,
    Listing,
    files_everywhere,
    images_below,
    list_files,
    list_views,
)
from headstyle.importers.listing.matching import Naming, files_of_views, match_files
from headstyle.importers.listing.names import (
    MASK_MARKER,
    is_marked,
    look_alikes,
    named_by_place,
    place_of,
    safe_name,
)

__all__ = [
    "ARCHIVE_SUFFIXES",
    "MASK_MARKER",
    "RAW_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Listing",
    "Naming",
    "files_everywhere",
    "files_of_views",
    "images_below",
    "is_marked",
    "list_files",
    "list_views",
    "look_alikes",
    "match_files",
    "named_by_place",
    "place_of",
    "safe_name",
]
