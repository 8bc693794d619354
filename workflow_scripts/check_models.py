"""Look for all the weights that the configuration needs, before anything is trained.

Output: models   models.json: for each network its name, revision and files with size and SHA-256
"""

from typing import TYPE_CHECKING

from headstyle.base.files import write_json
from headstyle.workflow.models import needed_models, unread_texts
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        params = snakemake.params
        models = needed_models(
            *(params.editing, params.metrics, params.masks, params.needs_matting),
            params.stylization,
        )
        for sentence in unread_texts(params.editing, params.prompts) if params.editing else []:
            log.warning("%s", sentence)
        log.info("found: %s", ", ".join(model.name for model in models) or "no weights are needed")
        write_json(snakemake.output.models, {"models": [model.record() for model in models]})
