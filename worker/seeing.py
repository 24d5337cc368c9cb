"""What the model is shown of a study; where a frame cannot be read, the choice is made anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from core import store
from core.database import reading
from core.errors import NotForUsError, PatientConflictError
from core.tables import Study
from dicom_node.header import InstanceHeader, from_plain
from dicom_node.selection import RenderedSelection, Selection, render_selection
from dicom_node.selection import select as select_frames
from worker.parts import Parts

# A damaged image is a rarity; a study in which choice after choice fails is damaged as a whole.
_CHOICES = 4


def look_at(parts: Parts, study: Study) -> tuple[Selection, RenderedSelection]:
    """Return the frames that were chosen and their pictures.

    An image that cannot be read is left out and the choice made anew, so that a second film of the
    same view takes its place. What could not be read is told with the pictures.

    Raises:
        PatientConflictError: The study's objects name different patients.
        NotForUsError: It holds nothing that we read, or nothing that can be read.
    """
    headers, others = _headers(parts, study)
    choose = partial(
        select_frames,
        limit=study.options.get("max_images", parts.settings.model.max_images),
        with_secondary_captures=bool(study.rule),
    )
    selection = choose(headers)
    seen: tuple[Selection, RenderedSelection] | None = None
    problems: tuple[str, ...] = ()
    for _ in range(_CHOICES):
        rendering = _render(parts, study, selection)
        problems += rendering.unreadable
        if rendering.images:
            seen = selection, replace(rendering, unreadable=problems)
        read = {image.frame.sop_instance_uid for image in rendering.images}
        failed = {choice.frame.sop_instance_uid for choice in selection.frames} - read
        headers = [header for header in headers if header.sop_instance_uid not in failed]
        if not failed:
            break
        try:
            selection = choose(headers)
        except NotForUsError:
            break
    if seen is None:
        raise NotForUsError(problems[0])
    selection, rendering = seen
    if others:
        reason = f"Left out: {others} images that are not drafted for by the rules."
        selection = replace(selection, reasons=(*selection.reasons, reason))
    return selection, rendering


def _headers(parts: Parts, study: Study) -> tuple[list[InstanceHeader], int]:
    """Return the images that the rules let in, and how many they leave out.

    Where they let none in, a person asked for the study by its name (`taqrir retry`), and all that
    it holds are looked at.
    """
    with reading(parts.engine) as session:
        if store.has_patient_conflict(session, study.id):
            raise PatientConflictError
        instances = store.instances_of(session, study.id)
    images = [row for row in instances if row.is_image and not row.is_own]
    admitted = [row for row in images if row.is_admitted] or images
    return [from_plain(row.header) for row in admitted], len(images) - len(admitted)


def _render(parts: Parts, study: Study, selection: Selection) -> RenderedSelection:
    with reading(parts.engine) as session:
        wanted = [choice.frame.sop_instance_uid for choice in selection.frames]
        paths = store.paths_of(session, study.id, wanted)
    try:
        return render_selection(selection, lambda uid: parts.files.resolve(paths[uid]))
    except NotForUsError as error:
        return RenderedSelection(images=(), unreadable=(str(error),))
