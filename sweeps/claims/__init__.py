"""The claims of the sources, each with its studies, its pre-declared contrasts and the rule of its verdict.

`registry` lists them, `evidence` and `verdict` judge them from trials alone, `campaign` runs what is left to run, `report` writes.
"""
