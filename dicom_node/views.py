"""One image a view: radiographs and mammograms.

At most `limit`, frontal views before lateral before others; of mammograms both craniocaudal ones
before both mediolateral obliques, the right breast first. A view is body part, laterality and View
Position, or the plane by Patient Orientation where View Position is absent; an image that says
neither is a view of its own. Of several images of a view the one is taken that comes first by: not
for processing; not SECONDARY in Image Type; newest; largest; SOP Instance UID.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pydicom import uid

from dicom_node.eligibility import read_as
from dicom_node.frame_choice import Choices, choice, orientation_of
from dicom_node.header import InstanceHeader

_PLANE_ORDER = {"frontal": 0, "lateral": 1}
_VIEW_PLANES = {
    "PA": "frontal",
    "AP": "frontal",
    "LL": "lateral",
    "RL": "lateral",
    "LAT": "lateral",
}
_BREAST_ORDER = {"CC": 0, "MLO": 1}
_FOR_PROCESSING = frozenset(
    {
        uid.DigitalXRayImageStorageForProcessing,
        uid.DigitalMammographyXRayImageStorageForProcessing,
    }
)


def choose_views(instances: Sequence[InstanceHeader], limit: int) -> Choices:
    """Choose one image a view by the rule above."""
    views: dict[tuple[str, ...], list[InstanceHeader]] = defaultdict(list)
    for instance in instances:
        views[_view_key(instance)].append(instance)
    best = [(_best_of_view(images), len(images)) for images in views.values()]
    best.sort(key=lambda pair: _view_rank(pair[0]))
    chosen = tuple(
        choice(image, orientation_of(image), 1, _view_reason(image, count))
        for image, count in best[:limit]
    )
    reason = f"{len(chosen)} of {len(best)} views, from {len(instances)} images."
    return chosen, (reason,)


def _plane(instance: InstanceHeader) -> str:
    if instance.view_position:
        return _VIEW_PLANES.get(instance.view_position, "")
    return orientation_of(instance).plane


def _view_key(instance: InstanceHeader) -> tuple[str, ...]:
    view = instance.view_position or _plane(instance) or instance.sop_instance_uid
    return (instance.body_part, instance.laterality, view)


def _view_rank(instance: InstanceHeader) -> tuple[object, ...]:
    if read_as(instance) == "MG":
        order = _BREAST_ORDER.get(instance.view_position, len(_BREAST_ORDER))
        return (order, instance.laterality != "R", instance.sop_instance_uid)
    return (
        _PLANE_ORDER.get(_plane(instance), len(_PLANE_ORDER)),
        instance.acquired_at,
        instance.sop_instance_uid,
    )


def _best_of_view(images: Iterable[InstanceHeader]) -> InstanceHeader:
    return max(
        images,
        key=lambda i: (
            not _is_for_processing(i),
            "SECONDARY" not in i.image_type,
            i.acquired_at,
            i.rows * i.columns,
            i.sop_instance_uid,
        ),
    )


def _is_for_processing(instance: InstanceHeader) -> bool:
    return (
        instance.presentation_intent == "FOR PROCESSING"
        or instance.sop_class_uid in _FOR_PROCESSING
    )


def _view_reason(image: InstanceHeader, count: int) -> str:
    view = image.view_position or _plane(image)
    view = f"{image.laterality} {view}".strip() if read_as(image) == "MG" else view
    name = f"view {view}" if view else "a view without a name"
    return f"the only image of {name}" if count == 1 else f"preferred of {count} images of {name}"
