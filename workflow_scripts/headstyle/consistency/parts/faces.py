"""Faces in views: their landmarks and their identity, by OpenCV's YuNet and SFace.

Sources: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023; Zhong et al., "SFace:
Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", TIP 2021. Both networks come as
ONNX files from OpenCV's model zoo.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.consistency.parts.filling import continued

SETTINGS = (
    Setting(
        "face_detector",
        None,
        {"type": ["string", "null"]},
        meaning="File of YuNet in OpenCV's model zoo, for face_landmarks and face_identity.",
    ),
    Setting(
        "face_recognizer",
        None,
        {"type": ["string", "null"]},
        meaning="File of SFace in OpenCV's model zoo, for face_identity.",
    ),
)
DETECTOR, RECOGNIZER = "face_detector", "face_recognizer"
"""Keys of the config's section `metrics`."""
MIN_SCORE = 0.6
_FILES = {
    DETECTOR: "face_detection_yunet_2023mar.onnx",
    RECOGNIZER: "face_recognition_sface_2021dec.onnx",
}


@dataclass(frozen=True)
class Face:
    """The face of one view."""

    landmarks: NDArray[np.float64]
    """Right eye, left eye, nose, right and left corner of the mouth [px]. Shape `(5, 2)`."""
    diagonal_px: float
    """Diagonal of the face's box [px]."""
    embedding: NDArray[np.float32] | None
    """Vector of unit length, alike for images of one person; None without a recognizer. Shape
    `(128,)`."""


def face_files(settings: Mapping[str, Any], *keys: str) -> list[Path]:
    """The networks' files that the settings name.

    Raises:
        InputError: a key is empty or its file does not exist.
    """
    files = []
    for key in keys:
        if not settings.get(key):
            raise InputError(
                f"metrics.{key} is empty; name the file {_FILES[key]} of OpenCV's model zoo"
            )
        files.append(Path(settings[key]))
        if not files[-1].is_file():
            raise InputError(
                f"metrics.{key}: {files[-1]} does not exist; get {_FILES[key]} from OpenCV's "
                "model zoo or correct the path"
            )
    return files


class FaceFinder:
    """Finds the face of a view.

    Args:
        detector: YuNet's file.
        recognizer: SFace's file; None finds faces without their identity.
    """

    def __init__(self, detector: Path, recognizer: Path | None = None) -> None:
        self._detector = _loaded(
            DETECTOR, detector, lambda: cv2.FaceDetectorYN.create(str(detector), "", (320, 320))
        )
        self._detector.setScoreThreshold(MIN_SCORE)
        self._recognizer: Any = recognizer and _loaded(
            RECOGNIZER, recognizer, lambda: cv2.FaceRecognizerSF.create(str(recognizer), "")
        )

    def find(self, colors: Tensor, foreground: Tensor) -> Face | None:
        """Find the face with the highest score; None if there is no face.

        The background is filled from the foreground's colors first.

        Args:
            colors: sRGB in [0, 1]. Shape `(H, W, 3)`.
            foreground: Shape `(H, W)`, bool.
        """
        if not foreground.any():
            return None
        filled = continued(colors.permute(2, 0, 1)[None], foreground[None, None])[0]
        pixels = (filled.permute(1, 2, 0).cpu().numpy() * 255).round().clip(0, 255)
        image = np.ascontiguousarray(pixels.astype(np.uint8)[..., ::-1])
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        _, faces = self._detector.detect(image)
        if faces is None or not len(faces):
            return None
        best = faces[np.argmax(faces[:, 14])]
        embedding = None
        if self._recognizer is not None:
            vector = self._recognizer.feature(self._recognizer.alignCrop(image, best)).ravel()
            embedding = vector / max(np.linalg.norm(vector), 1e-12)
        # In OpenCV the center of the first pixel is at 0, here it is at 0.5.
        landmarks = best[4:14].reshape(5, 2).astype(np.float64) + 0.5
        return Face(landmarks, float(np.hypot(*best[2:4])), embedding)


def _loaded(key: str, path: Path, load: Any) -> Any:
    try:
        return load()
    except cv2.error as error:
        raise InputError(
            f"metrics.{key}: {path} is no such network ({error.err}); get {_FILES[key]} from "
            "OpenCV's model zoo"
        ) from None
