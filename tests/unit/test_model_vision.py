import numpy as np
import pytest
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from core.errors import UnsupportedPixelsError
from model.vision import PAD_COLOUR, ImageGeometry, pad_to_square, to_pixel_values

SIZES = [(336, 336), (64, 200), (201, 64), (1, 1), (1, 900), (900, 1), (37, 38), (500, 411)]


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng([height, width])
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [112, 336])
def test_pixel_values_equal_those_of_transformers_llava_processor(
    height: int, width: int, size: int
) -> None:
    pixels = picture(height, width)
    processor = LlavaImageProcessorPil(
        do_pad=True,
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
    )

    theirs = processor(pixels, return_tensors="np", input_data_format="channels_last")

    ours = to_pixel_values(pixels, size)
    assert ours.shape == (3, size, size)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs["pixel_values"][0], atol=1e-5)


def test_nothing_is_cut_off_at_the_edges() -> None:
    pixels = np.zeros((100, 300, 3), dtype=np.uint8)
    pixels[:, :10] = 255
    pixels[:, -10:] = 255

    values = to_pixel_values(pixels, 112)[0]

    assert values[56, 0] > 1.5
    assert values[56, -1] > 1.5


def test_the_padding_has_the_mean_colour() -> None:
    assert PAD_COLOUR == (122, 116, 104)
    square = pad_to_square(picture(10, 30))
    assert square.shape == (30, 30, 3)
    assert tuple(square[0, 0]) == PAD_COLOUR


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 1), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.uint16),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((3, 4, 4), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(UnsupportedPixelsError):
        to_pixel_values(pixels, 112)


def test_a_large_clip_tower_takes_576_tokens_a_picture() -> None:
    assert ImageGeometry(size=336, patch_size=14).token_count == 576
    assert ImageGeometry(size=336, patch_size=14, has_class_token=True).token_count == 577
