"""A stand-in of the part of a Kubernetes server that Snakemake's plugin asks.

It refuses what the real one refuses of a job's resources, keeps each job, and runs its command as a
process of this machine, in a folder of its own that stands for the pod's.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

QUANTITY = re.compile(r"\d+(m|M|G|Mi|Gi)?")
PIP = "#!/bin/sh\nexit 0\n"


class Cluster:
    """The jobs that were made, and their processes."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, subprocess.Popen[bytes]] = {}

    def containers(self) -> list[dict[str, Any]]:
        """The container of each job, in the order in which they were made."""
        return [job["spec"]["template"]["spec"]["containers"][0] for job in self.jobs.values()]

    def environment(self) -> dict[str, str]:
        """What leads the plugin to this stand-in."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
            "clusters": [{"name": "here", "cluster": {"server": self.address}}],
            "users": [{"name": "here", "user": {}}],
        }
        path = self.folder / "kubeconfig.json"
        path.write_text(json.dumps(config))
        return {"KUBECONFIG": str(path)}

    def make(self, job: dict[str, Any]) -> str:
        """Begin a job.

        Returns:
            Why it is refused; nothing for one that begins.
        """
        name = job["metadata"]["name"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        if problem := refused(container["resources"]):
            return problem
        self.jobs[name] = job
        pod = self.folder / name
        (pod / "bin").mkdir(parents=True)
        # The plugins of the pod's Snakemake are there already.
        (pod / "bin" / "pip").write_text(PIP)
        (pod / "bin" / "pip").chmod(0o755)
        path = [str(pod / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.pods[name] = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=pod,
                env={**os.environ, "PATH": os.pathsep.join(path)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return ""

    def status(self, name: str) -> dict[str, Any]:
        """A job as it stands now."""
        code = self.pods[name].poll()
        counts = {} if code is None else {"failed" if code else "succeeded": 1}
        return self.jobs[name] | {"status": counts}


def refused(resources: dict[str, dict[str, str]]) -> str:
    """Why the resources of a container are refused; nothing for good ones."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, value in [*requests.items(), *limits.items()]:
        if not QUANTITY.fullmatch(value):
            return f"{name}: {value} is no quantity"
        # Of a device there is no part, and nobody may take more than he asked for.
        if "/" in name and requests.get(name) != limits.get(name):
            return f"{name}: limit must be set for non overcommitable resources"
    return ""


@contextmanager
def kubernetes(folder: Path) -> Iterator[Cluster]:
    """A cluster whose pods' folders lie in a folder, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            problem = cluster.make(content) if self.path.endswith("/jobs") else ""
            self.answer({"message": problem} if problem else content, 422 if problem else 201)

        def do_GET(self) -> None:
            if "/pods" in self.path:
                self.answer({"items": []})
            else:
                self.answer(cluster.status(self.path.split("/")[-2]))

        def do_DELETE(self) -> None:
            self.answer({"status": "Success"})

        def answer(self, content: dict[str, Any], code: int = 200) -> None:
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster = Cluster(folder, f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for pod in cluster.pods.values():
            pod.kill()
            pod.wait()
