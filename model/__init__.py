"""Everything that knows torch: checkpoint, prompts, engine, drafter, and the checks on drafts."""
