"""Pipeline folders of diffusers with a `model_index.json`: their parts, sizes and licenses."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError, fetched
from headstyle.editing.weights import CARD, card_license, check_digest, parameters_in

INDEX = "model_index.json"
KINDS = (".json", ".txt", ".model", ".jinja", ".safetensors")
"""Suffixes of the files in a part's folder that a pipeline may read."""


@dataclass(frozen=True)
class PipelineFolder:
    """A pipeline on this machine: a folder of the user, or one in the model hub's cache."""

    key: str
    """Key of the configuration that names it, such as `editing.longcat.model`."""
    model: str
    """Its name in the configuration."""
    path: Path
    """Where it is."""

    def index(self) -> dict[str, Any]:
        """Content of `model_index.json`: the class, the classes of the parts, and settings.

        Raises:
            InputError: the file is missing or no JSON.
        """
        return read_object(self.path / INDEX, self.key)

    def parts(self) -> list[str]:
        """Names of the parts that the pipeline has, each of which is a folder."""
        named = {k: v for k, v in self.index().items() if not k.startswith("_")}
        return [k for k, v in named.items() if isinstance(v, list) and None not in v]

    def check_class(self, expected: str) -> None:
        """Check that the folder holds a pipeline of a class.

        Raises:
            InputError: it holds another one.
        """
        found = self.index().get("_class_name")
        if found != expected:
            raise InputError(
                f"{self.key}: {self.path} holds a {found}, this editor needs a {expected}; name "
                "another model, or another editing.editor"
            )

    def files(self) -> list[Path]:
        """All files that the pipeline reads.

        Raises:
            InputError: a part lacks its configuration or its weights.
        """
        missing: list[str] = []
        found = [self.path / INDEX]
        for part in self.parts():
            folder = self.path / part
            inside = sorted(p for p in folder.glob("*") if p.suffix in KINDS)
            inside = [p for p in inside if ".fp16." not in p.name]
            missing += [f"{part}/{name}" for name in _lacking(folder, inside)]
            found += inside
        if missing:
            raise InputError(
                f"{self.key}: the pipeline folder {self.path} lacks {', '.join(missing)}; complete "
                "it or name another folder"
            )
        return found

    def parameters(self) -> dict[str, int]:
        """Number of parameters of each part, read from the heads of its files of weights."""
        counts = {
            part: sum(parameters_in(path) for path in self._weights_of(part))
            for part in self.parts()
        }
        return {part: count for part, count in counts.items() if count}

    def license(self) -> str | None:
        """License that the model's card (README.md) states; None where there is none."""
        return card_license(self.path)

    def revision(self) -> str | None:
        """Commit of a folder in the model hub's cache; None of any other folder."""
        name = self.path.name
        is_commit = self.path.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", name)
        return name if is_commit else None

    def _weights_of(self, part: str) -> Iterator[Path]:
        for path in sorted((self.path / part).glob("*.safetensors")):
            if ".fp16." not in path.name:
                yield path


def find_folder(key: str, model: str, revision: str | None) -> PipelineFolder:
    """The folder of a pipeline on this machine.

    Args:
        key: Key of the configuration that names it.
        model: A local folder, or a name on the model hub, which is searched in the hub's cache.
        revision: Commit or branch of a hub name; None is its main branch.

    Raises:
        InputError: there is no such folder, or it is not in the cache.
    """
    if Path(model).is_dir():
        return PipelineFolder(key, model, Path(model))
    if not is_hub_name(model):
        raise InputError(
            f"{key}: {model!r} is neither a folder nor a name on the model hub (owner/name); "
            "correct it"
        )
    # Imported here because a local folder does not need the hub.
    from huggingface_hub import constants, try_to_load_from_cache

    index = try_to_load_from_cache(model, INDEX, revision=revision)
    if not isinstance(index, str):
        at = f" at revision {revision}" if revision else ""
        options = f" --revision {revision}" if revision else ""
        raise InputError(
            f"{key}: {model}{at} is neither a folder nor in the model hub's cache "
            f"{constants.HF_HUB_CACHE}; fill the cache with `snakemake --cores 1 models` or "
            f"`hf download {model}{options}` (on another machine if this one has no network, and "
            "copy the cache), or name a local folder"
        )
    return PipelineFolder(key, model, Path(index).parent)


def is_hub_name(model: str) -> bool:
    """Whether a text can be a name on the model hub, and is no folder."""
    is_name = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model)
    return bool(is_name) and not Path(model).exists()


def download_folder(key: str, model: str, revision: str | None) -> list[Path]:
    """Files of a pipeline on the model hub, in the hub's cache, each with the hub's digest.

    Raises:
        InputError: the model is gated or missing, a file cannot be had or is damaged.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        about = HfApi().model_info(model, revision=revision, files_metadata=True)
    except GatedRepoError:
        raise InputError(_gated(key, model)) from None
    except RepositoryNotFoundError:
        raise InputError(
            f"{key}: the model hub has no model {model} that you may see; correct the name, or log "
            "in with `hf auth login` where the model is private"
        ) from None
    files = []
    for item in about.siblings or []:
        name = item.rfilename
        folder, _, file = name.rpartition("/")
        if not _is_read(folder, file):
            continue
        fetch = partial(hf_hub_download, model, name, revision=about.sha or revision)
        try:
            path = Path(fetched(f"{model}, {name}", fetch))
        except InputError as error:
            if isinstance(error.__cause__, GatedRepoError):
                raise InputError(_gated(key, model)) from None
            raise
        check_digest(path, (item.lfs.sha256 if item.lfs else item.blob_id) or "")
        files.append(path)
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        # The cache then knows which commit the branch is at.
        hf_hub_download(model, INDEX, revision=revision)
    return files


def read_object(path: Path, key: str) -> dict[str, Any]:
    """Content of a JSON file that holds an object.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"{key}: {path.parent} has no {path.name}, so it is no pipeline folder of diffusers; "
            "name one that is"
        ) from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); provide it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a model's configuration; provide it again")
    return content


def _gated(key: str, model: str) -> str:
    return (
        f"{key}: {model} is given only to those who accept its license; accept it at "
        f"https://huggingface.co/{model}, run `hf auth login`, and try again"
    )


def _is_read(folder: str, file: str) -> bool:
    if not folder:
        return file in (INDEX, CARD)
    return "/" not in folder and file.endswith(KINDS) and ".fp16." not in file


def _lacking(folder: Path, inside: list[Path]) -> list[str]:
    """Names of files that a part needs and lacks."""
    names = {path.name for path in inside}
    if not names:
        return ["(everything)"]
    shards = [path for path in inside if path.name.endswith(".safetensors.index.json")]
    if shards:
        wanted = set(read_object(shards[0], str(folder)).get("weight_map", {}).values())
        return sorted(wanted - names)
    # Only networks have a config.json; tokenizers and schedulers name theirs otherwise.
    is_network = "config.json" in names
    return ["*.safetensors"] if is_network and not _weights(names) else []


def _weights(names: set[str]) -> list[str]:
    return [name for name in names if name.endswith(".safetensors")]
