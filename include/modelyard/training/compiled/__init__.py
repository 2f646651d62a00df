"""The compiled predictor of a model version: Ludwig's answers, computed without Ludwig.

A plan says how Ludwig prepares each feature, and a traced graph computes the rest. Both are
made when the model is evaluated, and kept only if they answer the whole test split as Ludwig does.
"""

from modelyard.training.compiled.loading import load, open_compiled
from modelyard.training.compiled.model import CompiledModel
from modelyard.training.compiled.plan import NotCompiledError

__all__ = ["CompiledModel", "NotCompiledError", "load", "open_compiled"]
