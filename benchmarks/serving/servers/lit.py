"""LitServe around the compiled predictor, with its own batching.

LitServe reads the annotations of `decode_request`, so they must not be text.

Run by a Python that has litserve: `python lit.py FOLDER PORT`.
"""

import base64
import sys
from pathlib import Path
from typing import Any

import litserve  # type: ignore[import-not-found]


class Predict(litserve.LitAPI):  # type: ignore[misc]
    """One row a request."""

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe calls it so
        """Load the model in LitServe's worker."""
        from modelyard.training import compiled

        self._model = compiled.load(Path(self._folder), threads=1)

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the row out of a request."""
        row = request["rows"][0]
        return {**row, "image": base64.b64decode(row["image"])} if "image" in row else row

    def predict(self, inputs: list[dict[str, Any]]) -> Any:
        """Answer a batch."""
        assert self._model is not None
        return self._model.answer(inputs)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Write one answer."""
        return {"predictions": [output]}

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave rows as they are."""
        return inputs

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same."""
        return output


def main() -> None:
    """Serve."""
    api = Predict(sys.argv[1], max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error"
    )


if __name__ == "__main__":
    main()
