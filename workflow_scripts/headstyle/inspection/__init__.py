"""What a path holds: photographs, cameras, splats or results, told before any run.

In:  a path of the user's.
Out: findings in words, drawings, and a row of the subjects table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"look": ["inspect_path"], "findings": ["Findings"]}
)
