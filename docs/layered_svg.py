"""Draw a graph without circles as SVG, in layers: every arrow points down.

The same graph gives the same bytes on every machine: text is not measured but estimated.
"""

from collections.abc import Mapping, Set
from html import escape
from itertools import pairwise

Graph = Mapping[str, Set[str]]
"""{node: nodes that it needs}."""

CHARACTER_PX, BOX_HEIGHT_PX, PADDING_PX = 7.4, 28, 10
GAP_PX, LAYER_PX, MARGIN_PX = 14, 62, 12
# Pull towards the middle, in arrows: without it the layers of a long graph drift apart.
PULL = 0.15
STYLE = (
    "rect{fill:#eef2f7;stroke:#5b6f8a;stroke-width:1.2}"
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2a38;text-anchor:middle}"
    "path{fill:none;stroke:#8a98aa;stroke-width:1.3}"
)


def draw(graph: Graph, title: str, down: bool = False) -> str:
    """SVG of a graph. What is needed lies below what needs it; above it where `down` is set.

    Arrows point down: to what a node needs, or with `down` from it to what needs it.

    Raises:
        ValueError: The graph has a circle.
    """
    arrows = reduced(graph)
    if down:
        arrows = {node: {user for user in arrows if node in arrows[user]} for node in arrows}
    layers: list[list[str]] = []
    chains: list[list[str]] = []
    centers: dict[str, float] = {}
    for part in _parts(arrows):
        its_layers, its_chains = _layers(part)
        _order(its_layers, its_chains)
        x = _centers(its_layers, its_chains)
        end = max((centers[node] + _width(node) / 2 for node in centers), default=0)
        shift = end + 2 * GAP_PX - min(x[node] - _width(node) / 2 for node in x)
        centers |= {node: x[node] + shift for node in x}
        chains += its_chains
        layers += [[] for _ in its_layers[len(layers) :]]
        for layer, its_layer in zip(layers, its_layers, strict=False):
            layer += its_layer
    return _svg(layers, centers, chains, title)


def _parts(arrows: Graph) -> list[dict[str, Set[str]]]:
    """The parts of a graph that no arrow connects, the largest first."""
    left = sorted(arrows)
    parts = []
    while left:
        part: set[str] = set()
        waiting = [left[0]]
        while waiting:
            node = waiting.pop()
            if node not in part:
                part.add(node)
                waiting += sorted(arrows[node]) + [other for other in left if node in arrows[other]]
        parts.append({node: arrows[node] for node in sorted(part)})
        left = [node for node in left if node not in part]
    return sorted(parts, key=len, reverse=True)


def reduced(graph: Graph) -> dict[str, set[str]]:
    """The graph without the arrows that a longer way implies."""
    reach: dict[str, set[str]] = {}

    def reachable(node: str, above: tuple[str, ...] = ()) -> set[str]:
        if node in above:
            raise ValueError(f"circle: {' -> '.join([*above, node])}")
        if node not in reach:
            found: set[str] = set()
            for other in sorted(graph[node]):
                found |= {other} | reachable(other, (*above, node))
            reach[node] = found
        return reach[node]

    for node in graph:
        reachable(node)
    return {
        node: {a for a in graph[node] if not any(a in reach[b] for b in graph[node])}
        for node in sorted(graph)
    }


def _layers(arrows: Graph) -> tuple[list[list[str]], list[list[str]]]:
    """Nodes by layer, and each arrow as a chain with a point in every layer that it crosses."""
    depth: dict[str, int] = {}

    def depth_of(node: str) -> int:
        if node not in depth:
            above = [other for other in arrows if node in arrows[other]]
            depth[node] = max((depth_of(other) + 1 for other in above), default=0)
        return depth[node]

    for node in arrows:
        depth_of(node)
    # A start lies right above the first of what follows it.
    for node in arrows:
        if depth[node] == 0 and arrows[node]:
            depth[node] = min(depth[other] for other in arrows[node]) - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in sorted(arrows):
        layers[depth[node]].append(node)
    chains = []
    for node in sorted(arrows):
        for other in sorted(arrows[node]):
            points = [f"{node}>{other}#{level}" for level in range(depth[node] + 1, depth[other])]
            for level, point in enumerate(points, depth[node] + 1):
                layers[level].append(point)
            chains.append([node, *points, other])
    return layers, chains


def _order(layers: list[list[str]], chains: list[list[str]]) -> None:
    """Order each layer by the mean place of its neighbors, to and fro, so that few arrows cross."""
    neighbors: dict[str, list[str]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            neighbors.setdefault(upper, []).append(lower)
            neighbors.setdefault(lower, []).append(upper)
    place: dict[str, float] = {}
    best = (float("inf"), [list(layer) for layer in layers])
    for sweep in range(24):
        for layer in layers:
            place |= {node: (i + 0.5) / len(layer) for i, node in enumerate(layer)}
        best = min(best, (_crossings(layers, chains), [list(layer) for layer in layers]))
        for level in range(len(layers))[:: 1 if sweep % 2 == 0 else -1]:
            layer = layers[level]
            side = set(
                layers[level - 1] if sweep % 2 == 0 and level else layers[(level + 1) % len(layers)]
            )
            mean = {}
            for node in layer:
                near = [place[other] for other in neighbors.get(node, []) if other in side]
                mean[node] = sum(near) / len(near) if near else place[node]
            layer.sort(key=mean.__getitem__)
            place |= {node: (i + 0.5) / len(layer) for i, node in enumerate(layer)}
    layers[:] = best[1]


def _crossings(layers: list[list[str]], chains: list[list[str]]) -> int:
    """How often arrows cross between neighboring layers."""
    index = {node: (level, i) for level, layer in enumerate(layers) for i, node in enumerate(layer)}
    by_level: dict[int, list[tuple[int, int]]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            by_level.setdefault(index[upper][0], []).append((index[upper][1], index[lower][1]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for arrows in by_level.values()
        for i, a in enumerate(arrows)
        for b in arrows[:i]
    )


def _width(node: str) -> float:
    return 6 if "#" in node else len(node) * CHARACTER_PX + 2 * PADDING_PX


def _centers(layers: list[list[str]], chains: list[list[str]]) -> dict[str, float]:
    """x of each node: near the mean of its neighbors, apart from the others of its layer."""
    center: dict[str, float] = {}
    for layer in layers:
        total = sum(_width(node) + GAP_PX for node in layer)
        x = -total / 2
        for node in layer:
            center[node] = x + (_width(node) + GAP_PX) / 2
            x += _width(node) + GAP_PX
    neighbors: dict[str, list[str]] = {node: [] for node in center}
    for chain in chains:
        for upper, lower in pairwise(chain):
            neighbors[upper].append(lower)
            neighbors[lower].append(upper)
    for _ in range(60):
        for layer in layers:
            wanted = {
                node: sum(center[other] for other in near) / (len(near) + PULL) if near else 0
                for node in layer
                for near in [neighbors[node]]
            }
            _spread(layer, wanted, center)
    return center


def _spread(layer: list[str], wanted: Mapping[str, float], center: dict[str, float]) -> None:
    """Set centers as wanted, pushed apart to both sides where boxes would overlap."""
    left, right = {}, {}
    for node, before in zip(layer, [None, *layer], strict=False):
        least = -float("inf") if before is None else left[before] + _apart(before, node)
        left[node] = max(wanted[node], least)
    for node, after in zip(layer[::-1], [None, *layer[::-1]], strict=False):
        most = float("inf") if after is None else right[after] - _apart(node, after)
        right[node] = min(wanted[node], most)
    for node in layer:
        center[node] = (left[node] + right[node]) / 2


def _apart(first: str, second: str) -> float:
    return (_width(first) + _width(second)) / 2 + GAP_PX


def _svg(
    layers: list[list[str]], center: Mapping[str, float], chains: list[list[str]], title: str
) -> str:
    left = min(center[node] - _width(node) / 2 for node in center) - MARGIN_PX
    width = max(center[node] + _width(node) / 2 for node in center) + MARGIN_PX - left
    top = {
        node: MARGIN_PX + LAYER_PX * level for level, layer in enumerate(layers) for node in layer
    }
    height = LAYER_PX * (len(layers) - 1) + BOX_HEIGHT_PX + 2 * MARGIN_PX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#8a98aa;stroke:none"/></marker></defs>',
    ]
    for chain in chains:
        lines.append(_arrow([(center[node] - left, top[node]) for node in chain]))
    for node in sorted(center):
        if "#" in node:
            continue
        x, y, box = center[node] - left, top[node], _width(node)
        lines.append(
            f'<rect x="{x - box / 2:.0f}" y="{y}" width="{box:.0f}" '
            f'height="{BOX_HEIGHT_PX}" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + 18}">{escape(node)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def _arrow(points: list[tuple[float, float]]) -> str:
    """A curve from the first box's bottom to the last one's top, through the points between."""
    (x, y), *others = points
    y += BOX_HEIGHT_PX
    path = f"M{x:.0f} {y}"
    for next_x, next_y in others:
        middle = (y + next_y) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y}"
        x, y = next_x, next_y
        if (next_x, next_y) != others[-1]:
            y += BOX_HEIGHT_PX
            path += f"L{x:.0f} {y}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'
