"""Any lm-eval task under any intervention: `evaluate(lm.without(heads, "mean"), ["claimbench_indirect_object"])`.

lm-eval runs on the live model and its response cache is never used: its key does not know of interventions.
"""

from __future__ import annotations

from .measures.evaluation import Evaluation, ItemResult, TaskFiles, evaluate, paired, task_effect, task_files

__all__ = ["Evaluation", "ItemResult", "TaskFiles", "evaluate", "paired", "task_effect", "task_files"]
