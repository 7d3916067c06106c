"""Whatever the bytes are, an image becomes upright RGB over white, or gets a reason."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image, told_size
from semdedup_spark.encoders.image.pixels import Pixels
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from tests.encoders.imagefiles import BLUE, RED, WHITE, encoded, photo


def pixel_rows(image):
    return np.asarray(image).reshape(-1, 3).tolist()


def rejection(payload, **limits):
    with pytest.raises(RejectedPayload) as caught:
        decode_image(payload, **limits)
    return caught.value


def test_a_palette_is_looked_up_and_its_transparent_entry_shows_white():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert pixel_rows(decode_image(encoded(image))) == [list(RED), list(BLUE)]
    for kind in ("PNG", "GIF"):
        transparent = decode_image(encoded(image, kind, transparency=0))
        assert pixel_rows(transparent) == [list(WHITE), list(BLUE)], kind


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", (0, 0), WHITE),
        ("LA", (7, 255), (7, 7, 7)),
    ],
)
def test_transparency_lies_over_white(mode, colour, expected):
    image = decode_image(encoded(Image.new(mode, (2, 2), colour)))
    assert pixel_rows(image) == [list(expected)] * 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_high_byte(kind):
    grey = Image.fromarray(np.array([[0x0000, 0x8000, 0x40FF, 0xFFFF]], dtype=np.uint16))
    found = [rgb[0] for rgb in pixel_rows(decode_image(encoded(grey, kind)))]
    assert found == [0, 0x80, 0x40, 0xFF]


def test_a_16_bit_pgm_keeps_its_high_byte():
    payload = b"P5\n2 1\n65535\n" + struct.pack(">HH", 0x8000, 0x40FF)
    assert pixel_rows(decode_image(payload)) == [[0x80] * 3, [0x40] * 3]


def test_cmyk_and_black_and_white_become_rgb():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        np.testing.assert_allclose(
            np.asarray(decode_image(encoded(cyan, kind)))[0, 0], [0, 255, 255], atol=2
        )
    assert pixel_rows(decode_image(encoded(Image.new("1", (1, 1), 1)))) == [list(WHITE)]


def test_an_image_that_exif_says_is_rotated_is_turned_upright():
    image = photo()
    for orientation, turn in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = image.transpose(turn)
        upright = decode_image(encoded(stored, "JPEG", quality=95, exif=exif.tobytes()))
        as_stored = decode_image(encoded(stored, "JPEG", quality=95))
        assert upright.size == image.size
        np.testing.assert_allclose(
            np.asarray(upright, dtype=int), np.asarray(image, dtype=int), atol=12
        )
        assert as_stored.size == stored.size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage that is no TIFF header",
        b"Exif\0\0II*\0",
        # Turned by 90 degrees, and a tag that Pillow cannot write back: a negative number.
        b"Exif\0\0II*\0\x08\0\0\0\x02\0"
        b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
        b"\x11\x01\x09\0\x01\0\0\0\xff\xff\xff\xff\0\0\0\0",
    ],
)
def test_exif_that_pillow_stumbles_over_does_not_cost_the_image(kind, exif):
    stored = Image.new("RGB", (40, 20), RED)
    found = decode_image(encoded(stored, kind, exif=exif, dpi=(72, 72)))
    turned = b"\x12\x01" in exif
    assert found.size == ((20, 40) if turned else (40, 20))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_image():
    payload = encoded(Image.new("RGB", (4, 2), RED), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixel_rows(decode_image(payload)) == [list(RED)] * 8


def test_only_the_first_frame_counts():
    first, second = Image.new("RGB", (2, 2), RED), Image.new("RGB", (2, 2), BLUE)
    payload = encoded(first, "GIF", save_all=True, append_images=[second])
    assert pixel_rows(decode_image(payload)) == [list(RED)] * 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_truncated_images_are_rejected(kind):
    payload = encoded(photo(), kind)
    decode_image(payload)
    for share in (0.5, 0.9):
        cut = rejection(payload[: int(len(payload) * share)])
        assert cut.reason == "truncated_image"
        assert cut.message
    assert rejection(payload[:9]).reason in {"truncated_image", "undecodable_image"}


def test_a_draft_is_smaller_never_too_small_and_shows_the_same():
    payload = encoded(photo((1600, 1200)), "JPEG", quality=95)
    full = decode_image(payload)
    for draft_size, side in ((1200, 1200), (601, 1200), (600, 600), (300, 300), (100, 150)):
        draft = decode_image(payload, draft_size=draft_size)
        assert min(draft.size) == side
        same = full.resize(draft.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(draft, dtype=int) - np.asarray(same, dtype=int)).mean() < 1.5
    assert decode_image(encoded(photo((1600, 1200))), draft_size=100).size == (1600, 1200)


def test_a_draft_is_turned_upright_and_a_truncated_one_rejected():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(photo((800, 1600)), "JPEG", exif=exif.tobytes())
    assert decode_image(turned, draft_size=200).size == (400, 200)
    cut = rejection(turned[: len(turned) // 2], draft_size=200)
    assert cut.reason == "truncated_image"


def test_the_pixel_limit_holds_for_what_a_file_says_before_drafting():
    payload = encoded(photo((1600, 1200)), "JPEG")
    assert rejection(payload, max_pixels=1600 * 1200 - 1, draft_size=10).reason == "too_many_pixels"


def test_images_are_decoded_alike_in_many_threads(shared_data):
    files = sorted((shared_data / "imagededup_tests").rglob("*.jpg"))
    payloads = [file.read_bytes() for file in files if "corrupt" not in file.name] * 3
    alone = [np.asarray(decode_image(payload)) for payload in payloads]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(decode_image, payloads))
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("payload", [b"", b"hello", b"\xff\xd8\xff\xe0", b"%PDF-1.7\n", b"\0" * 99])
def test_bytes_that_are_no_image_are_rejected(payload):
    assert rejection(payload).reason == "undecodable_image"


def test_the_message_is_the_same_on_every_run():
    assert " at 0x" not in rejection(b"hello").message


def test_too_many_pixels_are_rejected_before_they_are_decoded():
    assert decode_image(encoded(Image.new("RGB", (4, 3))), max_pixels=12).size == (4, 3)
    # No pixel data at all: only the header can have said how many there are.
    rejected = rejection(png_header(13, 1), max_pixels=12)
    assert rejected.reason == "too_many_pixels"
    assert "13" in rejected.message
    assert "12" in rejected.message


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_decompression_bomb_has_too_many_pixels(side):
    assert rejection(png_header(side, side)).reason == "too_many_pixels"


def png_header(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_jpeg_is_decoded_whatever_it_is_called(shared_data):
    folder = shared_data / "imagededup_tests"
    original = decode_image((folder / "base_images" / "ukbench09380.jpg").read_bytes())
    assert original.size == (640, 480)
    for extension in ("bmp", "jpeg", "png", "svg"):
        payload = (folder / "formats_images" / f"ukbench09380.{extension}").read_bytes()
        assert np.array_equal(np.asarray(decode_image(payload)), np.asarray(original)), extension


def test_real_images_of_every_format_are_decoded_and_the_corrupt_one_is_not(shared_data):
    files = sorted(p for p in (shared_data / "imagededup_tests").rglob("*") if p.is_file())
    rejected, shapes = {}, set()
    encoder = Pixels(EncoderSpec("pixels", image_size=8))
    prepared = encoder.prepare([file.read_bytes() for file in files])
    for file, outcome in zip(files, prepared, strict=True):
        if isinstance(outcome, RejectedPayload):
            rejected[file.name] = outcome.reason
        else:
            shapes.add(getattr(outcome, "prepared", outcome).shape)
    bad = ("LICENSE", "README.txt", "ukbench09268_corrupt.jpg")
    assert rejected == dict.fromkeys(bad, "undecodable_image")
    assert shapes == {(192,)}
    assert len(files) == 29


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "AVIF"])
def test_the_size_that_a_header_tells_is_that_of_the_decoded_image(kind):
    payload = encoded(Image.new("RGB", (48, 32), RED), kind)
    assert told_size(payload) == decode_image(payload).size
    assert told_size(payload[: len(payload) // 8]) in (None, (48, 32))


def test_no_bytes_that_are_no_picture_have_a_size_and_a_bomb_is_not_decoded():
    assert [told_size(payload) for payload in (b"", b"GIF89a", b"\0" * 99, b"%!PS-Adobe")] == [
        None
    ] * 4
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(bytes(9)), b"IEND"]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
    )
    assert told_size(bomb) is None
