# SPDX-License-Identifier: Apache-2.0
"""Ledge: run ONNX, TFLite and .ledge models.

    import ledge
    session = ledge.Session("model.onnx", threads=2)
    scores = session.run({"x": pixels})["scores"]

Inputs are read where they lie and outputs are computed in the arrays that are returned: nothing is copied.
"""
from ._library import Error, cpu_rung, version
from ._session import Bound, Session, TensorInfo

__all__ = ["Bound", "Error", "Session", "TensorInfo", "cpu_rung", "version"]
__version__ = version()
