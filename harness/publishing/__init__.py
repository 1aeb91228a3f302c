"""Publishing: what of a report goes elsewhere: a badge, tables for a paper, a claim card, a section of a model card."""
