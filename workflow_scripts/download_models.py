"""Download all weights that the configuration needs, and say where they are.

Output: checksums   SHA256SUMS: digest and path of every file, for `sha256sum --check`
"""

from typing import TYPE_CHECKING

from headstyle.base.files import whole_file
from headstyle.workflow.downloads import checksums, download_all
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        params = snakemake.params
        files = download_all(
            params.config, with_avatars=params.with_avatars, with_matting=params.with_matting
        )
        with whole_file(snakemake.output.checksums) as partial:
            partial.write_text(checksums(files), encoding="utf-8")
        folders = sorted({str(path.parent) for path in files})
        log.info("%d files in %s", len(files), ", ".join(folders) or "no folder: none is needed")
